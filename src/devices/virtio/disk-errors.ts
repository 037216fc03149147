import { getSystemErrorMap } from 'node:util';
import type { DiskErrors } from '../backends/disk.ts';
import type { Cancel, Clock } from '../device.ts';
import type { BlockQueue } from './block-backend.ts';

/** The period in nanoseconds in which the errors of one kind cause one report, and their number another. */
export const DISK_ERROR_PERIOD = 60_000_000_000n;

/** Where errors occur: a queue, or a port. */
type ErrorSource = Pick<BlockQueue, 'diskErrors'>;

export type DiskErrorReportsOptions = {
  readonly clock: Clock;
  /** The queues of one disk, or of several. */
  readonly queues: () => readonly ErrorSource[];
  /** @param disk its number, as in `DiskErrors` */
  readonly report: (text: string | null, disk: number) => void;
  /** Called for each kind of errors when it is detected. */
  readonly failed: (errors: DiskErrors, text: string) => void;
  /** Why nothing is written to a disk's image any more, as `BlockBackend.corruption`. */
  readonly corruption: (disk: number) => string | null;
};

/**
 * Reports a disk's errors to the user: the first of each kind immediately, and the number of later ones at the end of
 * the period, so that a failing disk doesn't flood the log. A period without errors ends the report with null, unless
 * the image has been found to be corrupt, which is permanent.
 */
export class DiskErrorReports {
  readonly #options: DiskErrorReportsOptions;
  /** The kinds reported in this period, and the errors since. */
  readonly #kinds = new Map<string, DiskErrors | null>();
  #timer: Cancel | null = null;

  constructor(options: DiskErrorReportsOptions) {
    this.#options = options;
  }

  /** A queue has new kinds of errors. */
  collect(): void {
    for (const queue of this.#options.queues())
      for (const errors of queue.diskErrors(false)) this.#add(errors);
  }

  /** Stops reporting. */
  close(): void {
    this.#timer?.();
    this.#timer = null;
    const disks = new Set([...this.#kinds.keys()].map(key => Number.parseInt(key, 10)));
    this.#kinds.clear();
    for (const disk of disks) this.#options.report(null, disk);
  }

  #report(text: string | null, disk: number): void {
    const corruption = this.#options.corruption(disk);
    const parts = [text, corruption === null ? null : corruptionText(corruption)].filter(
      part => part !== null,
    );
    this.#options.report(parts.length === 0 ? null : parts.join('; '), disk);
  }

  #add(errors: DiskErrors): void {
    const key = `${errors.disk} ${errors.access} ${errors.errno}`;
    const later = this.#kinds.get(key);
    if (later === undefined) {
      this.#kinds.set(key, null);
      this.#report(firstText(errors), errors.disk);
    } else {
      this.#kinds.set(key, later === null ? errors : { ...later, count: later.count + errors.count });
    }
    this.#timer ??= this.#startPeriod();
    this.#options.failed(errors, firstText(errors));
  }

  #startPeriod(): Cancel {
    const { clock } = this.#options;
    return clock.at(clock.now() + DISK_ERROR_PERIOD, () => this.#endPeriod());
  }

  #endPeriod(): void {
    for (const queue of this.#options.queues())
      for (const errors of queue.diskErrors(true)) this.#add(errors);
    const again = [...this.#kinds].filter(([, errors]) => errors !== null);
    const disks = new Set([...this.#kinds.keys()].map(key => Number.parseInt(key, 10)));
    this.#kinds.clear();
    for (const [key, errors] of again) {
      this.#kinds.set(key, null);
      this.#report(laterText(errors!), errors!.disk);
      disks.delete(errors!.disk);
    }
    this.#timer = again.length > 0 ? this.#startPeriod() : null;
    for (const disk of disks) this.#report(null, disk);
  }
}

function corruptionText(reason: string): string {
  return `the image is corrupt (${reason}), and nothing more is written to it: shut the VM down, and repair it with \`vring image check --repair\``;
}

function firstText({ access, errno, sector, count }: DiskErrors): string {
  const more = count > 1 ? `, and ${count - 1} more` : '';
  const place = access === 'flush' ? '' : ` at sector ${sector}`;
  return `${access}${place} failed: ${errorText(errno)}${more}`;
}

function laterText({ access, errno, sector, count }: DiskErrors): string {
  const requests = `${count} more ${access} ${count === 1 ? 'request' : 'requests'}`;
  const place = access === 'flush' ? '' : `, the first at sector ${sector}`;
  return `${requests} failed within a minute${place}: ${errorText(errno)}`;
}

/** `ENOSPC (No space left on device)` */
function errorText(errno: number): string {
  if (errno === 0) return 'the image has become shorter';
  const [name, message] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, null];
  return message === null
    ? name
    : `${name} (${message[0]!.toUpperCase()}${message.slice(1)})`.replace('I/o', 'I/O');
}
