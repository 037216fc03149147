import type { NativeVm } from '../native/native-vm.ts';

type Threads = Pick<NativeVm, 'pauseVcpu' | 'resumeVcpu'>;

/** A machine's vCPU threads, paused and resumed together. They start parked. A resume takes effect after any sleep. */
export class VcpuGroup {
  readonly #threads: Threads;
  readonly #indices: Set<number>;
  /** In the guest, or with an unanswered exit. */
  readonly #unparked = new Set<number>();
  #running = false;
  #asleep = false;
  readonly #onPaused: (() => void)[] = [];
  /** Those that leave the group once they have parked, with what to call then. */
  readonly #leaving = new Map<number, () => void>();

  constructor(threads: Threads, indices: readonly number[]) {
    this.#threads = threads;
    this.#indices = new Set(indices);
  }

  /** Adds a vCPU, which is parked: it runs if the others do. */
  add(index: number): void {
    this.#indices.add(index);
    if (this.#running && !this.#asleep) this.#resume(index);
  }

  /** Removes a vCPU. @param parked called once it has parked, possibly immediately: it stays so until it is added */
  remove(index: number, parked: () => void): void {
    this.#indices.delete(index);
    if (!this.#unparked.has(index)) {
      parked();
      return;
    }
    this.#leaving.set(index, parked);
    if (this.#running && !this.#asleep) this.#threads.pauseVcpu(index);
  }

  /** Whether a vCPU that has been removed has not parked. */
  isLeaving(index: number): boolean {
    return this.#leaving.has(index);
  }

  get running(): boolean {
    return this.#running;
  }

  resume(): void {
    this.#running = true;
    for (const overtaken of this.#onPaused.splice(0)) overtaken();
    if (this.#asleep) return;
    for (const index of this.#indices) this.#resume(index);
  }

  #resume(index: number): void {
    this.#unparked.add(index);
    this.#threads.resumeVcpu(index);
  }

  /** Calls `onPaused` once no vCPU runs. If `resume` comes first, calls it immediately, with the vCPUs running. */
  pause(onPaused: () => void): void {
    this.#onPaused.push(onPaused);
    if (this.#running) {
      this.#running = false;
      if (!this.#asleep) this.#park();
    }
    this.#checkPaused();
  }

  /** Keeps the vCPUs from running, whatever else happens, until `wake`. */
  sleep(): void {
    if (this.#asleep) return;
    this.#asleep = true;
    if (this.#running) this.#park();
  }

  /** Only while they are paused. */
  wake(): void {
    this.#asleep = false;
  }

  get asleep(): boolean {
    return this.#asleep;
  }

  #park(): void {
    for (const index of this.#indices) this.#threads.pauseVcpu(index);
  }

  /** The thread of vCPU `index` has parked. */
  parked(index: number): void {
    const left = this.#leaving.get(index);
    if (left !== undefined) {
      this.#leaving.delete(index);
      this.#unparked.delete(index);
      left();
      this.#checkPaused();
      return;
    }
    // A pause that a resume overtook is still reported.
    if (this.#running && !this.#asleep) return;
    this.#unparked.delete(index);
    this.#checkPaused();
  }

  #checkPaused(): void {
    if (this.#unparked.size > 0) return;
    for (const onPaused of this.#onPaused.splice(0)) onPaused();
  }
}
