import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { UserOptions } from '../../../devices/backends/net-user.ts';
import { builtFile } from '../../../project-root.ts';
import { openSharedFrames } from '../../../vmm/backends/net/frame-ring.ts';
import { NetworkError } from '../../../vmm/backends/net/network-error.ts';
import type { SharedFrames, Wire } from '../../../vmm/backends/net/wire.ts';
import { type ExitStatus, watchExit } from '../../../vmm/confinement/exit-status.ts';
import type { Layer } from '../../../vmm/confinement/layer.ts';
import { spawnConfined, UNCONFINED } from '../../../vmm/confinement/spawn-confined.ts';
import * as libc from '../../../vmm/native/libc.ts';
import { userFailure } from './failure.ts';
import { programLayers, programText } from './program-layers.ts';
import { programWords } from './program-words.ts';

/**
 * The largest payload of frames for a card that takes its MTU from the device (VIRTIO_NET_F_MTU): the most that
 * libslirp's buffers hold. A TCP segment then holds up to 32 KiB. Other cards keep Ethernet's MTU, which the stack
 * learns from TCP options.
 */
export const LARGE_MTU = 65_520;
export const ETHERNET_MTU = 1500;

/** Each connection of the guest is a socket, whose buffers are up to 256 KiB of the program's memory. */
const LIMITS = { core: 0, nofile: 4096, fsize: 1 << 20 } as const;

/** The unprivileged uid that root's programs run as. */
const NOBODY = 65_534;

export type UserNetworkUser = {
  readonly vm: string;
  /** The card's model takes the MTU of its network. */
  readonly largeFrames: boolean;
  /** Threads serve the card: frames go through shared memory; default: false. */
  readonly sharesMemory?: boolean;
  /** Fail unless every layer of confinement applies to the program; default: false. */
  readonly strictly?: boolean;
};

/** @param ended called when the program has ended, which it does when the card's end is closed */
export type UserNetworkSettings = {
  readonly confined?: boolean;
  readonly ended?: (status: ExitStatus) => void;
};

/**
 * Starts the program of a user-mode network, in this process's network namespace. It survives this process, and ends
 * with the wire.
 * @throws NetworkError
 */
export async function openUserNetwork(
  options: UserOptions,
  { vm, largeFrames, sharesMemory = false, strictly = false }: UserNetworkUser,
  { confined = true, ended }: UserNetworkSettings = {},
): Promise<Wire> {
  const mtu = largeFrames ? LARGE_MTU : ETHERNET_MTU;
  const [ours, theirs] = libc.socketPair(libc.SOCK_SEQPACKET);
  const shared = sharesMemory ? openSharedFrames() : undefined;
  try {
    libc.setNonblocking(ours);
    const words = [`vm=${vm}`, `mtu=${mtu}`, ...programWords(options)];
    const { status, report, layers } = startNetworkProgram({ frames: theirs, shared }, words, confined);
    const said = await report;
    if (!said.startsWith('ready')) throw await userFailure(said.replace(/^failed /, ''), options);
    if (ended !== undefined) void status.then(ended);
    const program = programText(confined ? programLayers(layers, said) : layers, strictly);
    return { fds: [ours], header: 'none', shared, mtu, label: 'user', program };
  } catch (error) {
    for (const fd of [ours, ...Object.values(shared ?? {})]) libc.close(fd);
    throw error;
  } finally {
    libc.close(theirs);
  }
}

type Program = {
  readonly status: Promise<ExitStatus>;
  readonly report: Promise<string>;
  /** The layers it was started with. */
  readonly layers: readonly Layer[];
};

/** What the program gets: the machine's frames, and the stream that it carries them to, if it does. */
type ProgramFds = {
  readonly frames: number;
  readonly shared?: SharedFrames | undefined;
  readonly relay?: number;
};

/** Starts vring-net-user. @param fds they stay open here. @throws NetworkError */
export function startNetworkProgram(
  { frames, shared, relay }: ProgramFds,
  words: readonly string[],
  confined: boolean,
): Program {
  // In the order in which it finds them, from 5 on.
  const others = Object.entries({ relay, ...shared }).flatMap(([key, fd]) =>
    fd === undefined ? [] : [{ key, fd }],
  );
  const [read, write] = libc.socketPair();
  try {
    const { pidfd, layers } = spawnConfined({
      path: builtFile('vring-net-user'),
      args: [
        ...['fd=3', 'report=4', `confine=${confined ? 1 : 0}`],
        ...(process.geteuid?.() === 0 ? [`uid=${NOBODY}`] : []),
        ...others.map(({ key }, index) => `${key}=${5 + index}`),
        ...words,
      ],
      env: {},
      fds: [frames, write, ...others.map(({ fd }) => fd)],
      confinement: { ...(confined ? { off: ['network'] } : UNCONFINED), rlimits: LIMITS },
    });
    const status = watchExit(pidfd, { ref: false });
    closeSync(pidfd);
    return { status, report: textFrom(read), layers };
  } catch (error) {
    libc.close(read);
    const { message } = error as Error;
    throw new NetworkError(`the program of the network cannot be started: ${message}`, {
      cause: error,
    });
  } finally {
    libc.close(write);
  }
}

/** What arrives on a socket until it is closed; closes it then. */
export function textFrom(fd: number): Promise<string> {
  const socket = new Socket({ fd, readable: true, writable: false });
  let text = '';
  socket.setEncoding('utf8').on('data', chunk => {
    text += chunk;
  });
  socket.on('error', () => {});
  return new Promise(resolve => socket.on('close', () => resolve(text)));
}
