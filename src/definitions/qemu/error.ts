import { printable } from '../../text/printable.ts';

/** What is wrong with a QEMU option. */
export type QemuProblem = {
  /** The option as it was written: `-drive file=a.img,if=floppy`. */
  readonly option: string;
  readonly message: string;
};

/** QEMU options that cannot become a definition; the message names each, and what to use instead. */
export class QemuError extends Error {
  override readonly name = 'QemuError';
  readonly problems: readonly QemuProblem[];

  constructor(problems: readonly QemuProblem[]) {
    super(problems.map(({ option, message }) => printable(`${option}: ${message}`)).join('; '));
    this.problems = problems;
  }
}

/** Thrown for the current option. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}
