import { SYSCALL_NAMES } from './syscall-names.ts';

/** Start of a report (native/src/confine/trap.rs): {magic u32, number s32, thread u32, 0 u32}. */
const MAGIC = 0x7663_6e66;
const BYTES = 16;

/** A system call that ended a process because its filter forbids it. */
export type ForbiddenCall = {
  readonly number: number;
  /** `execve`; `system call 999` for a number without a name. */
  readonly name: string;
  /** The thread's id, as the process's own PID namespace numbers it. */
  readonly thread: number;
};

/**
 * Parses a process's report from `reportFd`; null for anything else, since a compromised process writes what it likes.
 */
export function readForbiddenCall(bytes: Uint8Array): ForbiddenCall | null {
  if (bytes.length < BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES);
  if (view.getUint32(0, true) !== MAGIC) return null;
  const number = view.getInt32(4, true);
  return { number, name: syscallName(number), thread: view.getUint32(8, true) };
}

export function syscallName(number: number): string {
  return SYSCALL_NAMES.get(number) ?? `system call ${number}`;
}
