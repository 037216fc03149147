import { allocateCounters, CounterLayout, shapeOf, VCPU } from '../vmm/counters/counters.ts';
import type { MachineConfig } from '../vmm/machine/config.ts';
import type { FromMachine, MachineCommand, MachineEnd } from '../vmm/machine/messages.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import { destroyVmLater, ringVm, shutDownVmLater } from '../vmm/native/native.ts';
import { Consoles } from './consoles.ts';
import type { DefinedVm } from './definitions.ts';
import { MachineWorker } from './machine-worker.ts';
import type { ThreadTimes } from './sampling/counter-source.ts';
import { threadTimes } from './sampling/thread-times.ts';
import { Scrollback } from './scrollback.ts';
import { TypedAhead } from './typed-ahead.ts';
import type { VmInfo, VmState } from './vm-info.ts';

/** Counter blocks that a machine may label; a machine that needs more fails to build. */
const MAX_QUEUES = 64;
const MAX_REGIONS = 128;

const SCROLLBACK_BYTES = 64 * 1024;
/** How long a machine thread may take to end by itself before its VM is destroyed under it. */
const STOP_TIMEOUT_MS = 3000;

/** Held from before a VM starts until nothing of it is left. */
export type VmLock = { release(): void };

export type VmListener = {
  changed(vm: Vm): void;
};

/** One VM on the main thread: its machine thread, while it has one, and what outlives that. */
export class Vm {
  #name: string;
  readonly consoles: Consoles;
  /** What is on disk of it. */
  #defined: DefinedVm | null = null;
  /** What its machine is, or was, made of; null before the first start. */
  #config: MachineConfig | null = null;
  readonly #listener: VmListener;
  readonly #scrollback = new Scrollback(SCROLLBACK_BYTES);
  readonly #replies = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #nextCommand = 0;
  #worker: MachineWorker | null = null;
  #lock: VmLock | null = null;
  /** Native handle, from the moment the machine thread has made it. */
  #native: number | null = null;
  #counters: BigUint64Array<SharedArrayBuffer> | null = null;
  #topology: Topology | null = null;
  #state: VmState = 'off';
  #end: MachineEnd | null = null;
  #forced = false;
  #interrupted = false;
  /** Devices that stopped serving their driver, and why. */
  readonly #typedAhead = new TypedAhead();
  readonly #broken = new Map<string, string>();
  #startedAt: number | null = null;
  #started: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();

  constructor(name: string, listener: VmListener) {
    this.#name = name;
    this.#listener = listener;
    this.consoles = new Consoles({
      scrollback: () => this.#scrollback.read(),
      type: bytes => this.type(bytes),
      room: () => this.#typedAhead.room(),
      keyboardChanged: () => this.#listener.changed(this),
    });
  }

  get name(): string {
    return this.#name;
  }

  /** While it has no machine. */
  rename(name: string): void {
    this.#name = name;
    if (this.#config !== null) this.#config = { ...this.#config, name };
  }

  get info(): VmInfo {
    return {
      id: this.name,
      name: this.name,
      state: this.#state,
      ...this.#size,
      reason: this.#end?.reason ?? null,
      detail: this.#end?.detail ?? null,
      exitCode: this.#end?.exitCode ?? null,
      ...(this.#interrupted && { interrupted: true }),
      startedAt: this.#startedAt,
      broken: Object.fromEntries(this.#broken),
      topology: this.#topology,
      defined: this.#defined !== null,
      problem: this.#defined?.problem ?? null,
      blockers: this.#defined?.blockers ?? [],
      autostart: this.#defined?.autostart ?? false,
      keyboardHolder: this.consoles.keyboardHolder,
    };
  }

  /** What its machine has, or will have at its next start. */
  get #size(): { vcpus: number; memoryBytes: number } {
    const next = this.alive ? null : this.#defined;
    const now = this.#config;
    return {
      vcpus: next?.vcpus ?? now?.cpus ?? 0,
      memoryBytes: next?.memoryBytes ?? now?.memory.bytes ?? 0,
    };
  }

  get defined(): DefinedVm | null {
    return this.#defined;
  }

  /** What is on disk of it has changed; null: there is nothing any more. */
  define(defined: DefinedVm | null): void {
    if (defined === this.#defined) return;
    this.#defined = defined;
    this.#listener.changed(this);
  }

  /**
   * It was running in a manager that is gone.
   * @param config what it was made of, if it has no definition
   */
  interrupt(reason: string, config: MachineConfig | null): void {
    this.#config = config;
    this.#end = { crashed: true, reason, detail: null, exitCode: null };
    this.#interrupted = true;
    this.#set('crashed');
  }

  get config(): MachineConfig | null {
    return this.#config;
  }

  get alive(): boolean {
    return this.#worker !== null;
  }

  get counters(): BigUint64Array | null {
    return this.#counters;
  }

  get scrollback(): Uint8Array {
    return this.#scrollback.read();
  }

  get threadTimes(): ThreadTimes[] {
    const counters = this.#counters;
    if (counters === null) return [];
    const layout = new CounterLayout(shapeOf(counters));
    return Array.from({ length: layout.shape.vcpus }, (_, index) =>
      threadTimes(Number(counters[layout.vcpu(index) + VCPU.tid])),
    );
  }

  /** Builds the machine and runs it. @throws what kept it from being locked or built, in one sentence. */
  async start(config: MachineConfig, takeLock: () => VmLock): Promise<void> {
    if (this.#worker !== null) throw new Error(`${this.name} is ${this.#state} already`);
    const counters = allocateCounters({ vcpus: config.cpus, queues: MAX_QUEUES, regions: MAX_REGIONS });
    this.#lock = takeLock();
    this.#config = config;
    this.#counters = counters;
    const worker = MachineWorker.take();
    this.#worker = worker;
    this.#end = null;
    this.#forced = false;
    this.#interrupted = false;
    this.#startedAt = Date.now();
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    const started = Promise.withResolvers<void>();
    this.#started = started.promise;
    worker.onMessage = message => {
      this.#receive(message);
      if (message.kind === 'state' && message.state === 'running') started.resolve();
    };
    worker.onExit = async error => {
      const { reason } = await this.#exited(error);
      ended.resolve();
      started.reject(new Error(reason));
    };
    this.#set('starting');
    worker.post({ kind: 'build', config, counters });
    await this.#started;
  }

  /** Has the machine thread carry out a command. @throws when there is no machine, or it refuses. */
  async command(command: MachineCommand): Promise<void> {
    const worker = this.#worker;
    if (worker === null) throw new Error(`${this.name} is ${this.#state}: start it first`);
    const id = this.#nextCommand++;
    const reply = Promise.withResolvers<void>();
    this.#replies.set(id, reply);
    worker.post({ kind: 'command', id, command });
    this.#ring();
    await reply.promise;
  }

  /** Ends the machine; resolves when nothing of it is left. */
  async kill(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    this.#set('stopping');
    // A stop that the end of the machine overtakes is no failure.
    this.command('stop').catch(() => {});
    const timer = setTimeout(() => void this.#force(worker), STOP_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  /** For another machine of this name: nothing that the last one printed is replayed; who watches sees the next one. */
  clearScrollback(): void {
    this.#scrollback.clear();
  }

  type(bytes: Uint8Array): void {
    if (this.#worker === null) return;
    this.#typedAhead.typed(bytes.byteLength);
    this.#worker.post({ kind: 'input', bytes });
    this.#ring();
  }

  #receive(message: FromMachine): void {
    switch (message.kind) {
      case 'created':
        this.#native = message.vm;
        this.#typedAhead.clear();
        this.#broken.clear();
        // For what was posted before there was a doorbell, or while the machine was built anew.
        if (this.#forced) void shutDownVmLater(message.vm);
        else this.#ring();
        break;
      case 'built':
        this.#topology = message.topology;
        this.#listener.changed(this);
        break;
      case 'state':
        if (this.#state !== 'stopping') this.#set(message.state);
        break;
      case 'console':
        this.#scrollback.append(message.bytes);
        this.consoles.printed(message.bytes);
        break;
      case 'input-taken':
        this.#typedAhead.taken(message.bytes);
        break;
      case 'reply': {
        const reply = this.#replies.get(message.id);
        this.#replies.delete(message.id);
        if (message.error === null) reply?.resolve();
        else reply?.reject(new Error(message.error));
        break;
      }
      case 'broken':
        this.#broken.set(message.device, message.reason);
        this.#listener.changed(this);
        break;
      case 'ended':
        this.#end = message.end;
        break;
    }
  }

  /** The machine thread is gone: by its own end, or by an exception that took nothing but this VM along. */
  async #exited(error: Error | null): Promise<MachineEnd> {
    if (this.#native !== null) await destroyVmLater(this.#native);
    this.#worker = null;
    this.#native = null;
    this.#typedAhead.clear();
    // Before listeners are notified: they may start it again at once.
    this.#lock?.release();
    this.#lock = null;
    const end = this.#howItEnded(error);
    this.#end = end;
    for (const reply of this.#replies.values()) reply.reject(new Error(end.reason));
    this.#replies.clear();
    this.#set(end.crashed ? 'crashed' : 'off');
    return end;
  }

  #howItEnded(error: Error | null): MachineEnd {
    if (this.#forced && (this.#end === null || this.#end.crashed)) {
      const reason = 'it was ended by force, because its machine thread did not answer';
      return { crashed: false, reason, detail: null, exitCode: null };
    }
    if (this.#end !== null) return this.#end;
    const reason = `the machine thread died: ${error?.message ?? 'it exited without an error'}`;
    return { crashed: true, reason, detail: error?.stack ?? null, exitCode: null };
  }

  /** For a machine thread that does not listen: ends what it waits for, then the thread itself. */
  async #force(worker: MachineWorker): Promise<void> {
    this.#forced = true;
    if (this.#native !== null) await shutDownVmLater(this.#native);
    await worker.terminate();
  }

  #ring(): void {
    if (this.#native !== null) ringVm(this.#native);
  }

  #set(state: VmState): void {
    this.#state = state;
    this.#listener.changed(this);
  }
}
