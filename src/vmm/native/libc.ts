import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import koffi from 'koffi';

/**
 * The libc calls that Node lacks. Each throws a SystemError if the call fails. Addresses are bigint. Buffers are passed
 * in place: they contain what the kernel has written when the call returns.
 */
const libc = koffi.load(null);

// ioctl and fcntl are variadic in C. On x86-64 their third argument is passed in the same register either way.
const calls = {
  open: libc.func('int open(const char *path, int flags, unsigned int mode)'),
  close: libc.func('int close(int fd)'),
  dup3: libc.func('int dup3(int from, int to, int flags)'),
  read: libc.func('int64_t read(int fd, void *buffer, size_t length)'),
  write: libc.func('int64_t write(int fd, void *buffer, size_t length)'),
  pread: libc.func('int64_t pread(int fd, void *buffer, size_t length, int64_t offset)'),
  pwrite: libc.func('int64_t pwrite(int fd, const void *buffer, size_t length, int64_t offset)'),
  prlimit: libc.func('int prlimit(int pid, int resource, const void *wanted, void *before)'),
  ioctlInteger: libc.func('ioctl', 'int', ['int', 'unsigned long', 'uint64_t']),
  ioctlPointer: libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']),
  fcntlInteger: libc.func('fcntl', 'int', ['int', 'int', 'uint64_t']),
  fcntlPointer: libc.func('fcntl', 'int', ['int', 'int', 'void *']),
  mmap: libc.func(
    'void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
  ),
  munmap: libc.func('int munmap(void *address, size_t length)'),
  madvise: libc.func('int madvise(void *address, size_t length, int advice)'),
  memfdCreate: libc.func('int memfd_create(const char *name, unsigned int flags)'),
  ftruncate: libc.func('int ftruncate(int fd, int64_t length)'),
  fallocate: libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
  eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  sendto: libc.func(
    'int64_t sendto(int fd, const void *bytes, size_t length, int flags, const void *address, unsigned int addressLength)',
  ),
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  socketpair: libc.func('int socketpair(int domain, int type, int protocol, void *fds)'),
  bind: libc.func('int bind(int fd, const void *address, unsigned int length)'),
  connect: libc.func('int connect(int fd, const void *address, unsigned int length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  accept4: libc.func('int accept4(int fd, void *address, void *length, int flags)'),
  sendmsg: libc.func('int64_t sendmsg(int fd, uint64_t message, int flags)'),
  recvmsg: libc.func('int64_t recvmsg(int fd, uint64_t message, int flags)'),
  syscall: libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d)'),
  mallocTrim: libc.func('int malloc_trim(size_t pad)'),
  poll: libc.func('int poll(void *fds, uint64_t count, int timeout)'),
};

/** open(2) flags, from asm-generic/fcntl.h. */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const O_DIRECT = 0o40000;

/** mmap(2), from asm-generic/mman-common.h and linux/mman.h. */
export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MADV_MERGEABLE = 12;
export const MADV_DONTDUMP = 16;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** memfd_create(2), from linux/memfd.h. The page size is its log2 at bit 26. */
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_HUGETLB = 4;
export const MFD_HUGE_2MB = 21 << 26;
export const MFD_HUGE_1GB = 30 << 26;

/** fallocate(2), from linux/falloc.h. */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

/** eventfd(2), from sys/eventfd.h. */
export const EFD_NONBLOCK = O_NONBLOCK;
export const EFD_CLOEXEC = O_CLOEXEC;

/** socket(2), from bits/socket.h. */
export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = O_CLOEXEC;
const SOCK_NONBLOCK = O_NONBLOCK;

/** Flags of send(2) and recv(2), from bits/socket.h. */
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** asm/unistd_64.h */
const SYS_BPF = 321;
const SYS_PIDFD_OPEN = 434;

/** poll(2), from asm-generic/poll.h. */
export const POLLIN = 1;
export const POLLOUT = 4;

/** fcntl(2), from linux/fcntl.h. */
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;

const errnoNames = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  // The first name of a number wins: EAGAIN over EWOULDBLOCK.
  if (!errnoNames.has(value)) errnoNames.set(value, name);
}

/** `EBUSY` for 16; `errno 999` for a number without a name. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** A system call that failed. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** The call, and its object: `ioctl KVM_CREATE_VM`. */
  readonly call: string;
  readonly errno: number;
  /** `EBUSY`. */
  readonly code: string;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoName(errno)} (${getSystemErrorMessage(-errno)})`);
    this.call = call;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** Runs one call: retries after EINTR, and throws a SystemError for a negative result. */
function checked(what: string, call: () => number | bigint): number {
  for (;;) {
    const result = Number(call());
    if (result >= 0) return result;
    const errno = koffi.errno();
    if (errno !== constants.errno.EINTR) throw new SystemError(what, errno);
  }
}

/** O_CLOEXEC is added. @returns the fd. */
export function open(path: string, flags: number, mode = 0): number {
  return checked(`open ${path}`, () => calls.open(path, flags | O_CLOEXEC, mode));
}

/** Never fails: Linux closes the fd whatever close(2) returns. */
export function close(fd: number): void {
  calls.close(fd);
}

/** @returns how many bytes were read. */
export function read(fd: number, buffer: Uint8Array): number {
  return checked('read', () => calls.read(fd, buffer, buffer.byteLength));
}

/** @returns how many bytes were written. */
export function write(fd: number, buffer: Uint8Array): number {
  return checked('write', () => calls.write(fd, buffer, buffer.byteLength));
}

/** read(2), once: @returns the bytes read, or the negative errno. */
export function tryRead(fd: number, buffer: Uint8Array): number {
  const count = Number(calls.read(fd, buffer, buffer.byteLength));
  return count < 0 ? -koffi.errno() : count;
}

/** write(2), once, of the first `length` bytes: @returns the bytes written, or the negative errno. */
export function tryWrite(fd: number, buffer: Uint8Array, length = buffer.byteLength): number {
  const count = Number(calls.write(fd, buffer, length));
  return count < 0 ? -koffi.errno() : count;
}

/** @returns how many bytes were read at `offset`. */
export function pread(fd: number, buffer: Uint8Array, offset: number): number {
  return checked('pread', () => calls.pread(fd, buffer, buffer.byteLength, offset));
}

/** @returns how many bytes were written at `offset`. */
export function pwrite(fd: number, buffer: Uint8Array, offset: number): number {
  return checked('pwrite', () => calls.pwrite(fd, buffer, buffer.byteLength, offset));
}

/**
 * ioctl(2) whose argument is an integer, or a buffer that the kernel reads or fills. `name` is for the error.
 * @returns the call's (non-negative) result.
 */
export function ioctl(
  fd: number,
  name: string,
  request: number,
  argument: number | bigint | Uint8Array,
): number {
  const call = argument instanceof Uint8Array ? calls.ioctlPointer : calls.ioctlInteger;
  return checked(`ioctl ${name}`, () => call(fd, request, argument));
}

/** ioctl(2), once: @returns its result, or the negative errno (also -EINTR). */
export function tryIoctl(fd: number, request: number, argument: number | bigint | Uint8Array): number {
  const call = argument instanceof Uint8Array ? calls.ioctlPointer : calls.ioctlInteger;
  const result: number = call(fd, request, argument);
  return result < 0 ? -koffi.errno() : result;
}

/** fcntl(2) whose argument is an integer, or a buffer (a struct flock). */
export function fcntl(fd: number, name: string, command: number, argument: number | Uint8Array = 0): number {
  const call = argument instanceof Uint8Array ? calls.fcntlPointer : calls.fcntlInteger;
  return checked(`fcntl ${name}`, () => call(fd, command, argument));
}

/** @returns the address of the mapping. `fd` is -1 with MAP_ANONYMOUS. */
export function mmap(length: number, protection: number, flags: number, fd: number, offset = 0): bigint {
  const address: bigint = calls.mmap(null, length, protection, flags, fd, offset);
  if (address === MAP_FAILED) throw new SystemError('mmap', koffi.errno());
  return address;
}

/** Replaces all pages of an existing mapping at `address` with new anonymous ones. Views of it stay valid. */
export function mmapOver(address: bigint, length: number, protection: number, flags: number): void {
  const result: bigint = calls.mmap(address, length, protection, flags | MAP_FIXED, -1, 0);
  if (result === MAP_FAILED) throw new SystemError('mmap', koffi.errno());
}

/** Views of the mapping (`viewOf`) must no longer be used. */
export function munmap(address: bigint, length: number): void {
  checked('munmap', () => calls.munmap(address, length));
}

export function madvise(address: bigint, length: number, advice: number): void {
  checked('madvise', () => calls.madvise(address, length, advice));
}

/** Returns freed memory to the kernel (malloc_trim(3)). */
export function mallocTrim(): void {
  calls.mallocTrim(0);
}

/** MFD_CLOEXEC is added. `name` shows in /proc/PID/maps. @returns the fd. */
export function memfdCreate(name: string, flags = 0): number {
  return checked('memfd_create', () => calls.memfdCreate(name, flags | MFD_CLOEXEC));
}

export function ftruncate(fd: number, length: number): void {
  checked('ftruncate', () => calls.ftruncate(fd, length));
}

export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  checked('fallocate', () => calls.fallocate(fd, mode, offset, length));
}

/** A new eventfd, non-blocking and close-on-exec. */
export function eventfd(initial = 0): number {
  return checked('eventfd', () => calls.eventfd(initial, EFD_NONBLOCK | EFD_CLOEXEC));
}

const one = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Adds 1 to an eventfd's count. A saturated count is already signaled. */
export function signalEventfd(fd: number): void {
  if (Number(calls.write(fd, one, one.byteLength)) >= 0) return;
  const errno = koffi.errno();
  if (errno !== constants.errno.EAGAIN) throw new SystemError('write to an eventfd', errno);
}

/** Reads an eventfd's count and resets it. @returns the count; 0 if it wasn't signaled. */
export function drainEventfd(fd: number): bigint {
  const count = new BigUint64Array(1);
  if (Number(calls.read(fd, count, count.byteLength)) >= 0) return count[0]!;
  const errno = koffi.errno();
  if (errno !== constants.errno.EAGAIN) throw new SystemError('read of an eventfd', errno);
  return 0n;
}

/** SOCK_CLOEXEC is added. @returns the fd. */
export function socket(domain: number, type: number): number {
  return checked('socket', () => calls.socket(domain, type | SOCK_CLOEXEC, 0));
}

/** Two connected sockets, by default stream sockets; close-on-exec, blocking. */
export function socketPair(type: typeof SOCK_STREAM | typeof SOCK_SEQPACKET = SOCK_STREAM): [number, number] {
  const fds = new Int32Array(2);
  checked('socketpair', () => calls.socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
  return [fds[0]!, fds[1]!];
}

/** Binds a socket to a struct sockaddr. `name` is for the error. */
export function bind(fd: number, name: string, address: Uint8Array): void {
  checked(`bind ${name}`, () => calls.bind(fd, address, address.byteLength));
}

/** Connects a socket to a struct sockaddr. `name` is for the error. */
export function connect(fd: number, name: string, address: Uint8Array): void {
  checked(`connect ${name}`, () => calls.connect(fd, address, address.byteLength));
}

export function listen(fd: number, backlog: number): void {
  checked('listen', () => calls.listen(fd, backlog));
}

/**
 * @returns a connection, non-blocking and close-on-exec; null if none is pending on a non-blocking socket, or it cannot
 * be accepted for lack of resources.
 */
export function accept(fd: number): number | null {
  const connection: number = calls.accept4(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection >= 0) return connection;
  const errno = koffi.errno();
  // A pending connection may have gone away, or stays pending until resources are available (accept(2)).
  const { EAGAIN, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM } = constants.errno;
  if ([EAGAIN, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM].includes(errno)) return null;
  throw new SystemError('accept4', errno);
}

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

/** Lets a TCP address be bound again soon after its last user is gone (SO_REUSEADDR). */
export function reuseAddress(fd: number): void {
  const on = new Int32Array([1]);
  checked('setsockopt', () => calls.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, on.byteLength));
}

export function setNonblocking(fd: number): void {
  fcntl(fd, 'F_SETFL', F_SETFL, fcntl(fd, 'F_GETFL', F_GETFL) | O_NONBLOCK);
}

/** sendmsg(2) of a struct msghdr, once: @returns the bytes sent, or the negative errno. */
export function trySendMessage(fd: number, message: bigint, flags: number): number {
  const sent = Number(calls.sendmsg(fd, message, flags));
  return sent < 0 ? -koffi.errno() : sent;
}

/** recvmsg(2) into a struct msghdr, once: @returns the bytes received, or the negative errno. */
export function tryReceiveMessage(fd: number, message: bigint, flags: number): number {
  const received = Number(calls.recvmsg(fd, message, flags));
  return received < 0 ? -koffi.errno() : received;
}

/** poll(2) of an array of struct pollfd, once: @returns how many are ready, also 0 after EINTR. */
export function poll(fds: Uint8Array, count: number, timeoutMs: number): number {
  const ready: number = calls.poll(fds, BigInt(count), timeoutMs);
  if (ready >= 0) return ready;
  const errno = koffi.errno();
  if (errno === constants.errno.EINTR) return 0;
  throw new SystemError('poll', errno);
}

/** asm-generic/resource.h. */
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
/** RLIM_INFINITY. */
export const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/**
 * prlimit(2) of process `pid`, 0 for this one.
 * @returns the limits before, soft and hard. `wanted` null leaves them unchanged
 */
export function prlimit(
  pid: number,
  resource: number,
  wanted: readonly [soft: bigint, hard: bigint] | null = null,
): [soft: bigint, hard: bigint] {
  const before = new BigUint64Array(2);
  checked('prlimit', () =>
    calls.prlimit(pid, resource, wanted === null ? null : new BigUint64Array(wanted), before),
  );
  return [before[0]!, before[1]!];
}

/**
 * pidfd_open(2):
 * @returns an fd of process `pid`, which is readable once that has ended. Only glibc 2.36 and later have it; vring
 * supports older ones.
 */
export function pidfdOpen(pid: number): number {
  return checked('pidfd_open', () => calls.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0));
}

/** Another descriptor of the same open file, close-on-exec: it shares its position and its OFD locks. */
export function duplicate(fd: number): number {
  return fcntl(fd, 'F_DUPFD_CLOEXEC', F_DUPFD_CLOEXEC);
}

/** Makes `fd`, which is open, refer to what `source` refers to; close-on-exec. */
export function replaceFd(fd: number, source: number): void {
  checked('dup3', () => calls.dup3(source, fd, O_CLOEXEC));
}

/** Sends one datagram to a struct sockaddr. */
export function sendTo(fd: number, bytes: Uint8Array, address: Uint8Array): void {
  const { byteLength: length } = bytes;
  checked('sendto', () => calls.sendto(fd, bytes, length, MSG_NOSIGNAL, address, address.byteLength));
}

/** Fills `value` with a socket's option. `name` is for the error. */
export function getSocketOption(
  fd: number,
  name: string,
  level: number,
  option: number,
  value: Uint8Array,
): void {
  const length = new Uint8Array(new Uint32Array([value.byteLength]).buffer);
  checked(`getsockopt ${name}`, () => calls.getsockopt(fd, level, option, value, length));
}

let viewGuard = <Result>(make: () => Result): Result => make();

/**
 * For a thread that may be terminated: if that happens while koffi makes a view, it aborts the whole process.
 * @param guard calls its argument, uninterrupted
 */
export function setViewGuard(guard: typeof viewGuard): void {
  viewGuard = guard;
}

/** bpf(2). @param attribute the address of its `bytes` bytes. @returns the fd that it creates */
export function bpf(name: string, command: number, attribute: bigint, bytes: number): number {
  return checked(`bpf ${name}`, () => calls.syscall(SYS_BPF, command, attribute, bytes, 0));
}

/**
 * The memory at `address` as an ArrayBuffer, in place. This doesn't keep it mapped: the mapping must outlive the
 * buffer.
 */
export function viewOf(address: bigint, length: number): ArrayBuffer {
  return viewGuard(() => koffi.view(address, length));
}
