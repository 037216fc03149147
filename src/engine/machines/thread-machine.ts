import { closeSync } from 'node:fs';
import { version } from '../../project-root.ts';
import { destroyVmLater, shutDownAllVms, shutDownVmLater } from '../../vmm/native/end-vms.ts';
import { socketPair } from '../../vmm/native/libc.ts';
import { buildMessage } from './build-message.ts';
import type { Death, Launch, Machine, Machines } from './machine.ts';
import { MachineConnection } from './machine-connection.ts';
import { coolThread, type MachineThread, takeThread, warmThread } from './machine-thread.ts';

/** A machine on a thread of this process. */
class ThreadMachine implements Machine {
  readonly pid = process.pid;
  readonly version = version();
  readonly connection: MachineConnection;
  readonly gone: Promise<Death | null>;
  readonly #thread: MachineThread;
  readonly #theirEnd: number;
  /** Native handle, once the machine thread has created it. */
  #nativeVm: number | null = null;
  #forced = false;
  /**
   * There will be no machine: on a busy host a thread takes seconds to come up, and ending the machine must not wait
   * for that.
   */
  readonly #revoked = Promise.withResolvers<null>();

  constructor(thread: MachineThread, launch: Launch) {
    const [ours, theirs] = socketPair();
    this.#thread = thread;
    this.#theirEnd = theirs;
    const { message, fds } = buildMessage(launch);
    try {
      this.connection = MachineConnection.open(ours, message, fds, { onSent: () => thread.serve(theirs) });
    } catch (error) {
      for (const fd of [ours, theirs]) closeSync(fd);
      void thread.terminate();
      throw error;
    }
    thread.connected(this.connection);
    this.gone = this.#whenGone();
  }

  /** Listens to the machine, for its manager. */
  created(vm: number): void {
    this.#nativeVm = vm;
    if (this.#forced) void shutDownVmLater(vm);
  }

  destroy(): void {
    this.#forced = true;
    if (this.#thread.revoke()) this.#revoked.resolve(null);
    void this.#force();
  }

  isHeld(): boolean {
    return false;
  }

  whyStuck(): string {
    return this.#forced ? 'its machine thread does not end' : 'its machine thread does not respond';
  }

  async #force(): Promise<void> {
    if (this.#nativeVm !== null) await shutDownVmLater(this.#nativeVm);
    await this.#thread.terminate();
  }

  async #whenGone(): Promise<Death | null> {
    const error = await Promise.race([this.#thread.exited, this.#revoked.promise]);
    if (this.#nativeVm !== null) await destroyVmLater(this.#nativeVm);
    // A thread that was terminated, or that never came up, has not closed its socket.
    if (!this.#thread.socketClosed) closeSync(this.#theirEnd);
    await this.connection.closed;
    if (error === null) return null;
    return { reason: `the machine thread died: ${error.message}`, detail: error.stack ?? null };
  }
}

class ThreadMachines implements Machines {
  warm(): void {
    warmThread();
  }

  launch(launch: Launch): Machine {
    return new ThreadMachine(takeThread(), launch);
  }

  async cool(): Promise<void> {
    await coolThread();
  }

  abandon(): void {
    shutDownAllVms();
  }
}

/** Machines on threads of this process: they end with it. All engines share the warm thread. */
export const threadMachines: Machines = new ThreadMachines();
