import type { Clock } from '../../clock.ts';
import type { VmInfo } from '../vm-info.ts';
import { isAlive } from '../vm-info.ts';
import type { CounterSource } from './counter-source.ts';
import { MAX_QUEUE_LOADS, type QueueLoad, queueLoads } from './queue-load.ts';
import { type VmTotals, vmDetail, vmTotals } from './rates.ts';
import type { Sample, Sampling, SamplingSettings } from './sampling.ts';
import { comparable, type Snapshot, takeSnapshot } from './snapshot.ts';
import { Window } from './window.ts';

/** How soon there are rates after the start, or after a VM has begun to run. */
const FIRST_SAMPLE_MS = 250;

/** CPU times are compared over at least this long. */
const CPU_WINDOW_MS = 1000;

/**
 * Turns counters into rates: copies those of every running VM at intervals, and compares each copy with the previous
 * one. Only one VM is sampled in detail.
 */
export class Sampler implements Sampling {
  readonly #source: CounterSource;
  readonly #clock: Clock;
  readonly #listener: (sample: Sample) => void;
  #settings: SamplingSettings;
  /** The latest copies of each VM's counters, oldest first; rates come from the last two. */
  readonly #snapshots = new Map<string, readonly Snapshot[]>();
  /** The baseline of each VM's totals; default: its start. */
  readonly #baselines = new Map<string, Snapshot>();
  readonly #running: Set<string>;
  #last: Sample = { at: 0, totals: {}, detail: null, queues: null };
  readonly #unsubscribe: () => void;
  #callOff: () => void = () => {};
  /** The next sample is due soon. */
  #isNear = false;

  constructor(
    source: CounterSource,
    clock: Clock,
    settings: SamplingSettings,
    listener: (sample: Sample) => void,
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#settings = settings;
    this.#listener = listener;
    this.#running = new Set(source.vms().flatMap(vm => (vm.state === 'running' ? [vm.id] : [])));
    this.#beginAgain();
    this.#unsubscribe = source.subscribe(event => {
      if (event.kind === 'vm') this.#follow(event.vm);
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#callOff();
  }

  configure(change: Partial<SamplingSettings>): void {
    const before = this.#settings;
    const after = { ...before, ...change };
    this.#settings = after;
    if (after.paused !== before.paused || after.intervalMs !== before.intervalMs) this.#beginAgain();
    if (after.detailOf !== before.detailOf || after.queues !== before.queues) this.#showDetail();
  }

  resetTotals(): void {
    for (const [id, snapshots] of this.#snapshots) this.#baselines.set(id, snapshots.at(-1)!);
    this.#showDetail();
  }

  /** A VM that starts to run has rates soon, whatever the interval. */
  #follow(vm: VmInfo): void {
    const begins = vm.state === 'running' && !this.#running.has(vm.id);
    if (begins) this.#running.add(vm.id);
    else if (vm.state !== 'running') this.#running.delete(vm.id);
    // A sample that is due soon is not postponed, as VMs may keep starting.
    if (this.#isNear && isAlive(vm) && (begins || !this.#snapshots.has(vm.id))) this.#copy(vm.id);
    else if (begins) this.#beginAgain();
  }

  /** Copies the counters now, and samples soon after. */
  #beginAgain(): void {
    this.#callOff();
    this.#isNear = !this.#settings.paused;
    if (this.#settings.paused) return;
    this.#copyAll();
    this.#next(FIRST_SAMPLE_MS);
  }

  #next(ms: number): void {
    this.#callOff = this.#clock.after(ms, () => this.#sample());
  }

  #sample(): void {
    this.#isNear = false;
    this.#copyAll();
    const totals: Record<string, VmTotals> = {};
    for (const vm of this.#source.vms()) {
      const window = this.#window(vm.id);
      if (window && isAlive(vm)) totals[vm.id] = vmTotals(window, vm.topology);
    }
    this.#emit({ at: this.#clock.wall(), totals, detail: this.#detail(), queues: this.#queues() });
    this.#next(this.#settings.intervalMs);
  }

  #emit(sample: Sample): void {
    this.#last = sample;
    this.#listener(sample);
  }

  /** Copies the counters of the running VMs, and of the one sampled in detail. */
  #copyAll(): void {
    const vms = this.#source.vms();
    const known = new Set(vms.map(vm => vm.id));
    for (const id of this.#snapshots.keys()) if (!known.has(id)) this.#forget(id);
    for (const vm of vms) if (vm.id === this.#settings.detailOf || isAlive(vm)) this.#copy(vm.id);
  }

  #copy(id: string): void {
    const now = takeSnapshot(this.#source, id, this.#clock.now(), id === this.#settings.detailOf);
    if (now === null) {
      this.#forget(id);
      return;
    }
    if (this.#baselines.get(id)?.layout !== now.layout) this.#baselines.delete(id);
    const before = (this.#snapshots.get(id) ?? []).filter(snapshot => comparable(snapshot, now));
    const oldest = before.findLastIndex(snapshot => now.at - snapshot.at >= CPU_WINDOW_MS);
    this.#snapshots.set(id, [...before.slice(Math.max(0, oldest)), now]);
  }

  #forget(id: string): void {
    this.#snapshots.delete(id);
    this.#baselines.delete(id);
  }

  /** The window between the last two copies; null before there are two. */
  #window(id: string): Window | null {
    const snapshots = this.#snapshots.get(id) ?? [];
    const [before, after] = snapshots.slice(-2);
    if (before === undefined || after === undefined) return null;
    return new Window(before, after, { baseline: this.#baselines.get(id), cpuBefore: snapshots[0] });
  }

  #detail(): Sample['detail'] {
    const id = this.#settings.detailOf;
    const window = id === null ? null : this.#window(id);
    if (id === null || window === null) return null;
    const topology = this.#source.vms().find(vm => vm.id === id)?.topology ?? null;
    return { id, rates: vmDetail(window, topology) };
  }

  #queues(): Sample['queues'] {
    if (!this.#settings.queues) return null;
    const byVm: Record<string, readonly QueueLoad[]> = {};
    let listed = 0;
    let omitted = 0;
    for (const vm of this.#source.vms()) {
      const window = isAlive(vm) ? this.#window(vm.id) : null;
      const count = vm.topology?.queues.length ?? 0;
      if (window === null || count === 0) continue;
      if (listed + count > MAX_QUEUE_LOADS) {
        omitted += count;
        continue;
      }
      listed += count;
      byVm[vm.id] = queueLoads(window, vm.topology);
    }
    return { byVm, omitted };
  }

  /** Updates the details and queues of the last sample immediately. */
  #showDetail(): void {
    this.#emit({ ...this.#last, detail: this.#detail(), queues: this.#queues() });
  }
}
