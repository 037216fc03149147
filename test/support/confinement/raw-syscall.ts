import koffi from 'koffi';
import * as libc from '../../../src/vmm/native/libc.ts';

const call = koffi.load(null).func('syscall', 'int64_t', ['int64_t', ...Array<string>(6).fill('uint64_t')]);

type Argument = number | bigint | string | Uint8Array;

/** Numbers of system calls (asm/unistd_64.h). */
export const SYS = {
  close: 3,
  mmap: 9,
  socket: 41,
  connect: 42,
  sendmsg: 46,
  recvmsg: 47,
  bind: 49,
  listen: 50,
  fork: 57,
  execve: 59,
  kill: 62,
  unlink: 87,
  ptrace: 101,
  prctl: 157,
  mount: 165,
  setuid: 105,
  keyctl: 250,
  openat: 257,
  unshare: 272,
  accept4: 288,
  setns: 308,
  process_vm_readv: 310,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  clone3: 435,
} as const;

const PAGE = 4096;
const SCRATCH = 64 * PAGE;

/** The thread's own memory, at a fixed address, for what the kernel reads and writes. */
const scratch = libc.mmap(
  SCRATCH,
  libc.PROT_READ | libc.PROT_WRITE,
  libc.MAP_PRIVATE | libc.MAP_ANONYMOUS,
  -1,
);
const bytes = new Uint8Array(libc.viewOf(scratch, SCRATCH));
let used = 0;

/** The address of a copy of `data`, valid until the next `freeAll`. */
export function addressOf(data: string | Uint8Array): bigint {
  const copy = typeof data === 'string' ? Buffer.from(`${data}\0`) : data;
  const at = used;
  bytes.set(copy, at);
  used += Math.ceil(copy.length / 16) * 16;
  return scratch + BigInt(at);
}

export function freeAll(): void {
  used = 0;
}

/** The bytes that the kernel wrote at an address from `addressOf`. */
export function readBack(address: bigint, length: number): Buffer {
  const at = Number(address - scratch);
  return Buffer.from(bytes.slice(at, at + length));
}

/**
 * One system call by its number, bypassing every wrapper. Strings and buffers are passed by address. @returns its
 * result or -errno
 */
export function syscall(name: keyof typeof SYS, ...args: readonly Argument[]): number {
  const words = args.map(argument =>
    typeof argument === 'string' || argument instanceof Uint8Array
      ? addressOf(argument)
      : BigInt.asUintN(64, BigInt(argument)),
  );
  const result = Number(call(SYS[name], ...words, ...Array<bigint>(6 - words.length).fill(0n)));
  return result < 0 ? -koffi.errno() : result;
}
