import type { Cancel } from '../../../devices/device.ts';
import type { Machine } from '../life-cycle.ts';
import type { VcpusSet } from '../messages.ts';
import type { VcpuLabel } from '../topology.ts';

/** How long a guest that has noticed a vCPU may take to report that it uses it: not all guests report. */
const REPORTS_WITHIN_NS = 2_000_000_000n;

/** Events and status codes of _OST (ACPI 6.5 §6.3.5). */
const OST = { busCheck: 0, deviceCheck: 1, ejectRequest: 3, ejectionByHost: 0x103 } as const;
const OST_DONE = 0;
const OST_IN_PROGRESS = 0x84;
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [0x80, 'it does not support that'],
  [0x81, 'it is in use'],
  [0x82, 'it is busy'],
  [0x83, 'something that depends on it is busy'],
]);

/** A request that waits for the guest. */
type Waiting = {
  /** vCPUs that the guest has not taken up. */
  readonly adding: Set<number>;
  /** vCPUs that the guest has not released. */
  readonly removing: Set<number>;
  readonly done: (outcome: VcpusSet | Error) => void;
};

export type VcpuPlugOptions = {
  readonly machine: Machine;
  /** Why the vCPUs must not change now; null if they may. */
  readonly busy: () => string | null;
  /** Called when vCPUs have been added or removed, or removal has been requested. */
  readonly changed: () => void;
  readonly happened: (level: 'info' | 'warning', text: string) => void;
};

/** Adds vCPUs to a running machine, and has its guest release them. */
export class VcpuPlug {
  readonly #options: VcpuPlugOptions;
  /** vCPUs that the guest has not taken up. */
  readonly #adding = new Set<number>();
  /** When the guest was asked to release a vCPU, in milliseconds since 1970. */
  readonly #since = new Map<number, number>();
  readonly #late = new Map<number, Cancel>();
  #waiting: Waiting[] = [];

  constructor(options: VcpuPlugOptions) {
    this.#options = options;
    const { cpus } = this.#chipset;
    if (cpus === null) return;
    cpus.events = {
      ejected: index => this.#ejected(index),
      noticed: index => this.#noticed(index),
      reported: (index, event, status) => this.#reported(index, event, status),
    };
  }

  get #chipset() {
    return this.#options.machine.parts.chipset;
  }

  /**
   * Has the machine run with this many vCPUs: adds absent ones, or asks the guest to release the last ones. Requests to
   * release vCPUs that are wanted after all are withdrawn.
   * @param done called once: when the guest has taken up those that are new, and released the others, which it may
   * never do; immediately if it has no driver that would notice. An error is for the user
   */
  set(count: number, done: (outcome: VcpusSet | Error) => void): void {
    const { machine } = this.#options;
    const { vcpus } = machine.parts;
    const failure = this.#whyNot(count);
    if (failure !== null) {
      done(new Error(failure));
      return;
    }
    const { cpus } = this.#chipset;
    const noticed = cpus?.driven() ?? true;
    try {
      this.#keep(count);
      for (let index = 0; vcpus.indices.length < count; index++)
        if (!vcpus.isPresent(index)) this.#add(index);
      this.#release(count);
    } catch (error) {
      done(error as Error);
      return;
    } finally {
      this.#options.changed();
    }
    if (!noticed) {
      done({ vcpus: vcpus.indices.length, noticed });
      return;
    }
    // A machine that continues from a saved state may have added them before.
    for (const index of vcpus.indices) if (cpus?.inserting(index)) this.#adding.add(index);
    const removing = new Set(vcpus.indices.filter(index => cpus?.removing(index)));
    this.#waiting.push({ adding: new Set(this.#adding), removing, done });
    this.#settle();
  }

  /** The present vCPUs as screens show them; undefined if none can be added or removed. */
  get labels(): readonly VcpuLabel[] | undefined {
    const { cpus } = this.#chipset;
    if (cpus === null) return undefined;
    return this.#options.machine.parts.vcpus.indices.map(index => ({
      index,
      ...((this.#adding.has(index) || cpus.inserting(index)) && { adding: true as const }),
      ...(cpus.removing(index) && { removing: this.#removingSince(index) }),
    }));
  }

  #whyNot(count: number): string | null {
    const { most, indices } = this.#options.machine.parts.vcpus;
    if (count < 1) return 'a VM has at least 1 vCPU';
    if (count < indices.length && this.#chipset.cpus === null)
      return (
        'the VM has no room for vCPUs to come and go: set cpus.maxcpus in its definition above the number of its ' +
        'vCPUs, and start it again'
      );
    if (count > most)
      return `the VM has room for ${most} vCPU${most === 1 ? '' : 's'}: set cpus.maxcpus in its definition to ${count} or more, and start it again`;
    return this.#options.busy();
  }

  /** Withdraws requests to release vCPUs until there are `count` that stay, the first ones first. */
  #keep(count: number): void {
    const { cpus } = this.#chipset;
    const { indices } = this.#options.machine.parts.vcpus;
    const leaving = indices.filter(index => cpus?.removing(index));
    for (const index of leaving.slice(0, Math.max(0, count - (indices.length - leaving.length)))) {
      cpus!.cancelRemoval(index);
      this.#fail(index, `vCPU ${index} stays: removing it was canceled`);
    }
  }

  /** @throws an error for the user */
  #add(index: number): void {
    const { machine, happened } = this.#options;
    machine.addVcpu(index);
    this.#adding.add(index);
    this.#chipset.cpus!.announce(index);
    happened('info', `vCPU ${index} was added`);
  }

  /** Asks the guest to release all but `count` vCPUs, the last ones first; once more those that it was asked before. */
  #release(count: number): void {
    const { cpus } = this.#chipset;
    const { indices } = this.#options.machine.parts.vcpus;
    const excess = Math.max(0, indices.length - count);
    const asked = indices.filter(index => cpus?.removing(index));
    const others = indices.filter(index => index > 0 && !cpus?.removing(index)).reverse();
    for (const index of [...asked, ...others].slice(0, excess)) {
      this.#removingSince(index);
      cpus!.requestRemoval(index);
    }
  }

  /** A machine that continues from a saved state may have been asked before. */
  #removingSince(index: number): number {
    const since = this.#since.get(index) ?? Date.now();
    this.#since.set(index, since);
    return since;
  }

  /** The guest has given up a vCPU, or the machine was reset while it was asked to. */
  #ejected(index: number): void {
    const { machine, happened, changed } = this.#options;
    const wasAsked = this.#since.has(index);
    machine.removeVcpu(index);
    this.#taken(index);
    this.#since.delete(index);
    happened('info', wasAsked ? `vCPU ${index} was removed` : `the guest has ejected vCPU ${index}`);
    changed();
    for (const { removing } of this.#waiting) removing.delete(index);
    this.#settle();
  }

  /** The guest knows of a vCPU that was added. It reports later whether it can use it, if it reports at all. */
  #noticed(index: number): void {
    const { clock } = this.#options.machine.parts;
    if (!this.#adding.has(index)) return;
    this.#late.get(index)?.();
    this.#late.set(
      index,
      clock.at(clock.now() + REPORTS_WITHIN_NS, () => this.#taken(index)),
    );
  }

  #reported(index: number, event: number, status: number): void {
    const { happened } = this.#options;
    const isRemoval = event === OST.ejectRequest || event === OST.ejectionByHost;
    if (isRemoval && this.#chipset.cpus!.removing(index)) {
      if (status === OST_DONE || status === OST_IN_PROGRESS) return;
      this.#chipset.cpus!.cancelRemoval(index);
      const reason = REFUSALS.get(status) ?? `its code is 0x${status.toString(16)}`;
      const text = `the guest does not release vCPU ${index}: ${reason}`;
      happened('warning', text);
      this.#fail(index, text);
      this.#options.changed();
    } else if ((event === OST.busCheck || event === OST.deviceCheck) && this.#adding.has(index)) {
      if (status === OST_DONE) this.#taken(index);
      else {
        const text = `the guest cannot use vCPU ${index}: its code is 0x${status.toString(16)}`;
        happened('warning', text);
        this.#fail(index, text);
        this.#taken(index);
      }
    }
  }

  /** The guest has taken up a vCPU, as far as it reports that, or it is gone. */
  #taken(index: number): void {
    this.#late.get(index)?.();
    this.#late.delete(index);
    if (!this.#adding.delete(index)) return;
    for (const { adding } of this.#waiting) adding.delete(index);
    this.#options.changed();
    this.#settle();
  }

  /** Requests that wait for this vCPU fail. */
  #fail(index: number, reason: string): void {
    this.#since.delete(index);
    const isOver = ({ adding, removing }: Waiting) => adding.has(index) || removing.has(index);
    const over = this.#waiting.filter(isOver);
    this.#waiting = this.#waiting.filter(waiting => !isOver(waiting));
    for (const { done } of over) done(new Error(reason));
  }

  #settle(): void {
    const isSettled = ({ adding, removing }: Waiting) => adding.size === 0 && removing.size === 0;
    const settled = this.#waiting.filter(isSettled);
    this.#waiting = this.#waiting.filter(waiting => !isSettled(waiting));
    const vcpus = this.#options.machine.parts.vcpus.indices.length;
    for (const { done } of settled) done({ vcpus, noticed: true });
  }
}
