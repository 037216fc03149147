import type { Cancel, EventLoop } from '../../../devices/device.ts';
import type { GuestRam } from '../../memory/guest-ram.ts';
import { sealedMemfd } from '../../memory/sealed-memfd.ts';
import * as libc from '../../native/libc.ts';
import { describeFailure, Job } from '../../snapshot/job.ts';

/** Lowest speed of copying, in bytes per nanosecond: a slower host is too busy. */
const SLOWEST_BYTES_PER_NS = 0.2;

export type PrivateRamOptions = {
  readonly ram: GuestRam;
  /** /proc/self/pagemap; null to examine every page. */
  readonly pagemap: number | null;
  /** Native handle of the VM. */
  readonly vm: number;
  readonly loop: EventLoop;
};

/**
 * RAM that only its process has, such as that of a machine restored from a snapshot, on its way into a memfd that
 * another one can map.
 */
export class PrivateRamCopy {
  readonly fd: number;
  readonly #options: PrivateRamOptions;
  #end: Cancel = () => {};

  constructor(options: PrivateRamOptions) {
    this.#options = options;
    this.fd = sealedMemfd('guest-ram', options.ram.size);
  }

  /** How long the copy may take, in nanoseconds. */
  get limitNs(): bigint {
    return BigInt(Math.ceil(this.#options.ram.size / SLOWEST_BYTES_PER_NS));
  }

  /**
   * Copies it on a native thread, while the machine is quiesced.
   * @param done null once all of it is copied, otherwise why it is not
   */
  copy(done: (failure: string | null) => void): void {
    const { ram, pagemap, vm, loop } = this.#options;
    const ranges = ram.blocks.map(({ host, offset, size }) => ({ host, offset, size }));
    const part = {
      action: 'copy-private',
      sourceFd: ram.below,
      pagemapFd: pagemap,
      targetFd: this.fd,
      size: ram.size,
      ranges,
    } as const;
    const ended = libc.eventfd();
    let job: Job;
    try {
      job = new Job([part], ended, vm);
    } catch (error) {
      libc.close(ended);
      throw error;
    }
    const unwatch = loop.watch(ended, () => {
      const { failure } = job.report;
      this.#end();
      done(failure === null ? null : describeFailure(failure, 'a copy of its memory'));
    });
    this.#end = () => {
      this.#end = () => {};
      unwatch();
      libc.close(ended);
      job.free();
    };
  }

  /** The copy is no longer needed. */
  cancel(): void {
    this.#end();
  }

  close(): void {
    this.#end();
    libc.close(this.fd);
  }
}
