import { constants, fstatSync } from 'node:fs';
import { type GivenWire, takeGivenWires } from '../../backends/net/given-wires.ts';
import * as libc from '../../native/libc.ts';
import { waitForFds } from '../../native/unix-socket.ts';
import { HandOverChannel } from './channel.ts';
import {
  FORMAT,
  type FromGiver,
  HandOverError,
  type Offer,
  type OfferedDisk,
  parseFromGiver,
} from './messages.ts';

export type GivenDisk = OfferedDisk & { /** As `fdsOf` has them. */ readonly fds: readonly number[] };

/** What a machine is built from that belongs to another process. The caller takes over the fds. */
export type Given = {
  /** Version of the vring that runs it. */
  readonly version: string;
  readonly ram: number;
  readonly counters: number;
  readonly lock: number;
  readonly disks: readonly GivenDisk[];
  readonly images: readonly { readonly path: string; readonly fd: number }[];
  readonly wires: readonly GivenWire[];
};

/**
 * Takes a machine over from another process, which may run another version of vring, or be controlled by its guest: its
 * messages are checked. Each step waits for the other process, which keeps the deadlines; when it continues on its own,
 * it reports that, or ends.
 */
export class Taker {
  readonly #channel: HandOverChannel;
  #messages: unknown[] = [];

  /** @param fd a connected socket, which this object takes over */
  constructor(fd: number) {
    this.#channel = new HandOverChannel(fd);
  }

  /** @throws HandOverError */
  awaitOffer(): Given {
    const offer = this.#await('offer');
    if (offer.format !== FORMAT)
      throw new HandOverError(
        `vring ${offer.version} hands VMs over in format ${offer.format}, which this version does not know`,
      );
    return this.#givenBy(offer);
  }

  /** Reports that the machine is built. @returns its state, encoded. @throws HandOverError */
  prepared(): Uint8Array {
    this.#channel.send({ kind: 'prepared' });
    return this.#await('state').bytes;
  }

  /** The next fd that came with the state, a socket; the caller takes it over. @throws HandOverError */
  takeClient(): number {
    const fd = this.#channel.takeFd();
    if (fstatSync(fd).isSocket()) return fd;
    libc.close(fd);
    throw new HandOverError('what the other process passed as a connection is something else');
  }

  /** Reports that the state is loaded. When this returns, the machine belongs to this process. @throws HandOverError */
  loaded(): void {
    this.#channel.send({ kind: 'loaded' });
    this.#await('go');
  }

  /** Reports that the machine cannot be taken over. Does nothing once the other process continues. */
  fail(reason: string): void {
    this.#channel.send({ kind: 'failed', reason });
  }

  close(): void {
    this.#channel.close();
  }

  #await<Kind extends FromGiver['kind']>(kind: Kind): Extract<FromGiver, { kind: Kind }> {
    const message = this.#next();
    if (message.kind === 'failed') throw new HandOverError(message.reason);
    if (message.kind !== kind) throw new HandOverError('the other process sent a message out of order');
    return message as Extract<FromGiver, { kind: Kind }>;
  }

  #next(): FromGiver {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return isState(message) ? message : parseFromGiver(message);
      if (this.#channel.isOver)
        throw new HandOverError('the process that runs the VM has ended, or continues to run it');
      const { fd, isWaiting } = this.#channel;
      waitForFds([{ fd, writable: isWaiting }]);
      this.#channel.flush();
      this.#messages = this.#channel.receive();
    }
  }

  #givenBy({ version, disks, images, wires = [] }: Offer): Given {
    const taken: number[] = [];
    const take = (check: (fd: number) => boolean, what: string) => {
      const fd = this.#channel.takeFd();
      taken.push(fd);
      if (!check(fd)) throw new HandOverError(`what the other process passed as ${what} is something else`);
      return fd;
    };
    try {
      return {
        version,
        ram: take(isFile, 'memory'),
        counters: take(isFile, 'counters'),
        lock: take(isFile, 'a lock'),
        disks: disks.map(disk => ({
          ...disk,
          fds: [
            take(fd => isDisk(fd, disk.facts.isBlockDevice), `the disk ${disk.options.path}`),
            ...(disk.facts.backing ?? []).map(({ path }) => take(isAnyDisk, `the backing file ${path}`)),
          ],
        })),
        images: images.map(path => ({ path, fd: take(isFile, `the file ${path}`) })),
        wires: takeGivenWires(
          wires,
          () => take(isWire, 'a network'),
          () => {},
        ),
      };
    } catch (error) {
      for (const fd of taken) libc.close(fd);
      throw error;
    }
  }
}

/** The channel has already checked it. */
function isState(message: unknown): message is Extract<FromGiver, { kind: 'state' }> {
  return (message as { readonly kind?: unknown } | null)?.kind === 'state';
}

function isFile(fd: number): boolean {
  return fstatSync(fd).isFile();
}

/**
 * A socket, or a character device: a TAP interface, a pseudoterminal; or a file: shared memory, or a log to which output
 * is appended; or what has no file type: an eventfd, an eBPF program or table.
 */
function isWire(fd: number): boolean {
  const stats = fstatSync(fd);
  const hasNoType = (stats.mode & constants.S_IFMT) === 0;
  return stats.isSocket() || stats.isCharacterDevice() || stats.isFile() || hasNoType;
}

function isAnyDisk(fd: number): boolean {
  return isDisk(fd, true) || isDisk(fd, false);
}

function isDisk(fd: number, isBlockDevice: boolean): boolean {
  const stats = fstatSync(fd);
  return isBlockDevice ? stats.isBlockDevice() : stats.isFile();
}
