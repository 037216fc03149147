import { TinyRing } from './io-uring.ts';
import { addressOf, freeAll, syscall } from './raw-syscall.ts';

/** The targets of the attempts: all of them exist and are open to this user. */
export type Targets = {
  readonly secret: string;
  readonly disk: string;
  /** A new file's path in a world-writable folder. */
  readonly newFile: string;
  readonly tcpPort: number;
  readonly unixPath: string;
  readonly abstractName: string;
  /** A process of the same user. */
  readonly victim: number;
  readonly folder: string;
  /** A TCP socket that was opened before. */
  readonly openSocket: number;
};

/** The exit status of a process that managed to execute another program; Node leaves it no standard output. */
export const EXECUTED = 42;

const AT_FDCWD = -100;
const O_RDWR = 2;
const O_CREAT = 0o100;
const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const CLONE_NEWUTS = 0x400_0000;
const PTRACE_SEIZE = 0x4206;
const UFFD_USER_MODE_ONLY = 1;
const KEYCTL_GET_KEYRING_ID = 0;
const KEY_SPEC_SESSION_KEYRING = -3;

function inet(port: number): Uint8Array {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return address;
}

function unix(path: string): Uint8Array {
  return Buffer.from(`\u0001\0${path}`, 'latin1');
}

function connect(domain: number, address: Uint8Array): number {
  const socket = syscall('socket', domain, SOCK_STREAM, 0);
  return socket < 0 ? socket : syscall('connect', socket, address, address.length);
}

function ringConnect(domain: number, address: Uint8Array): number {
  const ring = new TinyRing();
  const socket = ring.socket(domain, SOCK_STREAM);
  return socket < 0 ? socket : ring.connect(socket, address);
}

function words(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(new BigUint64Array(values).buffer);
}

/**
 * What a subverted process would try. Each returns the call's result or -errno, or never
 * returns if it replaces the process.
 */
export const ATTEMPTS = {
  'open a secret': ({ secret }) => syscall('openat', AT_FDCWD, secret, 0),
  "open another VM's disk": ({ disk }) => syscall('openat', AT_FDCWD, disk, O_RDWR),
  'open /dev/kvm again': () => syscall('openat', AT_FDCWD, '/dev/kvm', O_RDWR),
  'make a file': ({ newFile }) => syscall('openat', AT_FDCWD, newFile, O_CREAT | O_RDWR, 0o600),
  'remove a file': ({ newFile }) => syscall('unlink', newFile),
  'connect by TCP': ({ tcpPort }) => connect(AF_INET, inet(tcpPort)),
  'connect an open socket': ({ tcpPort, openSocket }) =>
    syscall('connect', openSocket, inet(tcpPort), inet(tcpPort).length),
  'connect to a Unix socket': ({ unixPath }) => connect(AF_UNIX, unix(unixPath)),
  'connect to an abstract socket': ({ abstractName }) => connect(AF_UNIX, unix(`\0${abstractName}`)),
  'bind a TCP port': () => {
    const socket = syscall('socket', AF_INET, SOCK_STREAM, 0);
    return socket < 0 ? socket : syscall('bind', socket, inet(0), 16);
  },
  'signal another process': ({ victim }) => syscall('kill', victim, 0),
  'open a secret by io_uring': ({ secret }) => {
    const ring = new TinyRing();
    const fd = ring.openat(secret);
    return fd < 0 ? fd : ring.read(fd, 4);
  },
  'connect by io_uring and TCP': ({ tcpPort }) => ringConnect(AF_INET, inet(tcpPort)),
  'connect by io_uring to a Unix socket': ({ unixPath }) => ringConnect(AF_UNIX, unix(unixPath)),
  'connect by io_uring to an abstract socket': ({ abstractName }) =>
    ringConnect(AF_UNIX, unix(`\0${abstractName}`)),
  execve: () => {
    const args = ['sh', '-c', `exit ${EXECUTED}`].map(text => addressOf(text));
    return syscall('execve', '/bin/sh', words(...args, 0n), words(0n));
  },
  fork: () => {
    const pid = syscall('fork');
    if (pid === 0) process.kill(process.pid, 'SIGKILL');
    return pid;
  },
  ptrace: ({ victim }) => syscall('ptrace', PTRACE_SEIZE, victim, 0, 0),
  process_vm_readv: () => {
    const from = addressOf(words(1n));
    const vector = words(from, 8n);
    return syscall('process_vm_readv', process.pid, vector, 1, vector, 1, 0);
  },
  mount: ({ folder }) => syscall('mount', 'none', folder, 'tmpfs', 0, 0),
  unshare: () => syscall('unshare', CLONE_NEWUTS),
  setns: () => syscall('setns', syscall('openat', AT_FDCWD, '/proc/self/ns/uts', 0), 0),
  setuid: () => syscall('setuid', process.getuid!()),
  userfaultfd: () => syscall('userfaultfd', UFFD_USER_MODE_ONLY),
  keyctl: () => syscall('keyctl', KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1),
} satisfies { readonly [name: string]: (targets: Targets) => number };

export type Attempt = keyof typeof ATTEMPTS;

export function attempt(name: Attempt, targets: Targets): number {
  freeAll();
  return ATTEMPTS[name](targets);
}
