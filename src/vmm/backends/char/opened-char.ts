import type { CharFacts, Wire } from '../net/wire.ts';

/** What was opened for a character device, in the form of one of the machine's wires. */
export type OpenedChar = {
  readonly file: CharFacts['file'];
  /** Null with `none`. */
  readonly fd: number | null;
  readonly log: number | null;
  /** `/dev/pts/3`; empty if it follows from the options. */
  readonly label: string;
};

export function charWire({ file, fd, log, label }: OpenedChar): Wire {
  const fds = [fd, log].filter(fd => fd !== null);
  return { fds, header: 'none', label, char: { file, log: log !== null } };
}

/** @throws if the wire belongs to another kind of device */
export function charOf({ fds, label, char }: Wire): OpenedChar {
  const count = (char?.file === 'none' ? 0 : 1) + (char?.log ? 1 : 0);
  if (char === undefined || fds.length !== count)
    throw new Error('what was opened is not a character back end');
  const [fd = null] = char.file === 'none' ? [] : fds;
  return { file: char.file, fd, log: char.log ? fds.at(-1)! : null, label };
}
