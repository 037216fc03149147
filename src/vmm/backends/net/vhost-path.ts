import type { NetQueueOptions, ReceiveFilter } from '../../../devices/backends/net.ts';
import { areLimited, type NetLimits } from '../../../devices/backends/net-limits.ts';
import type { Cancel, Clock, EventLoop } from '../../../devices/device.ts';
import type { GuestMemory } from '../../../devices/guest-memory.ts';
import { FEATURE } from '../../../devices/virtio/features.ts';
import type { QueueProgress, RunningQueue, VirtioQueue } from '../../../devices/virtio/virtio-device.ts';
import { eventfd } from '../../native/libc.ts';
import type { NativeVm } from '../../native/native-vm.ts';
import { type VhostFile, vhostFile } from '../../vhost/vhost-file.ts';
import type { VhostMemory } from '../../vhost/vhost-memory.ts';
import { VhostError, VhostNet, VRING } from '../../vhost/vhost-net.ts';
import { InterfaceTraffic } from './interface-traffic.ts';
import { NO_FILTER, setTapFilter, tapFilter } from './tap-filter.ts';
import type { Wire } from './wire.ts';

/**
 * Offsets of the number of returned chains in a split used ring (virtio 1.3 §2.7.8), and of the next to write in a
 * packed one.
 */
const USED_INDEX = 2;

export type VhostParts = {
  readonly native: Pick<NativeVm, 'ownFd' | 'closeFd'>;
  readonly memory: VhostMemory;
  /** Guest memory as device models access it. */
  readonly guest: Pick<GuestMemory, 'readU16'>;
  readonly events: EventLoop & Pick<Clock, 'now' | 'at'>;
  /** Wraps an fd of vhost-net; default: `vhostFile`. */
  readonly open?: (fd: number) => VhostFile;
};

export type VhostPathEvents = {
  /** The kernel can no longer carry the card's frames; the result of `refusal` is final. */
  readonly onRefused: () => void;
  /** The interface no longer exists. */
  readonly onGone: () => void;
};

/** Settings of a card of which the kernel supports only some. */
export type CardSettings = {
  readonly link: boolean;
  readonly limits: NetLimits;
  readonly filter: ReceiveFilter | null;
};

/** The kernel's data path of a card: vhost-net carries the frames between its queues and an interface. */
export class VhostPath {
  readonly #wire: Wire;
  readonly #parts: VhostParts;
  readonly #events: VhostPathEvents;
  readonly #pairs: readonly VhostNet[];
  readonly #errors: readonly { readonly fd: number; readonly unwatch: Cancel }[];
  readonly #traffic: InterfaceTraffic;
  /** Listeners for queues of the pair that the kernel finds broken. */
  readonly #broken: readonly Set<(reason: string) => void>[];
  /** Why it no longer carries anything; null if it does. */
  #failure: string | null = null;
  #running = 0;
  #filter: Uint8Array = NO_FILTER;

  /** @throws SystemError if the wire's fds are not vhost devices */
  constructor(
    wire: Wire & { readonly vhost: NonNullable<Wire['vhost']> },
    parts: VhostParts,
    events: VhostPathEvents,
  ) {
    const { native, events: loop, memory, open = vhostFile } = parts;
    const { devices, counters } = wire.vhost;
    this.#wire = wire;
    this.#parts = parts;
    this.#events = events;
    this.#broken = devices.map(() => new Set());
    this.#errors = devices.map((_, pair) => {
      const fd = native.ownFd(eventfd());
      const unwatch = loop.watch(fd, () => {
        for (const broken of [...this.#broken[pair]!])
          broken(
            "the kernel's vhost-net finds a descriptor or a frame of the driver's that breaks the rules",
          );
      });
      return { fd, unwatch };
    });
    this.#pairs = devices.map(
      (fd, pair) =>
        new VhostNet(open(fd), memory, {
          errorFd: this.#errors[pair]!.fd,
          // The address space is changing.
          onRefused: reason => loop.at(0n, () => this.#fail(reason)),
        }),
    );
    this.#traffic = new InterfaceTraffic(counters, loop, events.onGone);
  }

  /** Why the kernel does not carry the frames of a card with these settings, in a few words; null if it does. */
  refusal({ link, limits, filter }: CardSettings): string | null {
    if (this.#failure !== null) return this.#failure;
    if (!link) return 'its cable is unplugged';
    if (areLimited(limits)) return 'its rates are limited, which vhost-net cannot do';
    if (filter !== null && tapFilter(filter) === null)
      return 'the driver wants frames filtered in a way that a TAP interface cannot do';
    return null;
  }

  /** Why the kernel cannot continue a queue; null if it can. */
  missing(features: bigint, progress: QueueProgress): string | null {
    const missing = this.#pairs[0]!.missing(features);
    if (missing !== null) return missing;
    const { lastAvail, usedIndex, unfinished, unfinishedDescriptors } = progress;
    const isClean =
      lastAvail === usedIndex && unfinished === undefined && unfinishedDescriptors === undefined;
    return isClean ? null : 'the queue has buffers that were taken and not given back';
  }

  /** Sets the card's filter, which applies while the kernel carries its frames. */
  setFilter(filter: ReceiveFilter): void {
    this.#filter = tapFilter(filter) ?? NO_FILTER;
    if (this.#running > 0) this.#applyFilter(this.#filter);
  }

  /** Lets the kernel serve a queue. @returns null if it does not; `refusal` gives the reason from now on */
  start(
    queue: VirtioQueue,
    { features, pair, onBroken }: NetQueueOptions,
    transmits: boolean,
  ): RunningQueue | null {
    const vring = transmits ? VRING.transmit : VRING.receive;
    let running: RunningQueue;
    try {
      running = this.#pairs[pair]!.start(vring, queue, features, this.#wire.fds[pair]!);
    } catch (error) {
      if (!(error instanceof VhostError)) throw error;
      this.#fail(error.message);
      return null;
    }
    if (this.#running++ === 0) this.#applyFilter(this.#filter);
    this.#broken[pair]!.add(onBroken);
    const uncount = this.#traffic.count({
      transmits,
      counters: queue.counters,
      used: () => this.#used(queue, features),
    });
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      uncount();
      this.#broken[pair]!.delete(onBroken);
      if (--this.#running === 0) this.#applyFilter(NO_FILTER);
    };
    return {
      requestStop: () => {
        running.requestStop();
        over();
      },
      stop: limitMs => {
        const progress = running.stop(limitMs);
        over();
        return progress;
      },
      abandon: () => {
        const progress = running.abandon();
        over();
        return progress;
      },
    };
  }

  close(): void {
    for (const { fd, unwatch } of this.#errors) {
      unwatch();
      this.#parts.native.closeFd(fd);
    }
  }

  #fail(reason: string): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#events.onRefused();
  }

  #applyFilter(filter: Uint8Array): void {
    setTapFilter(this.#wire.fds[0]!, filter);
  }

  #used({ used }: VirtioQueue, features: bigint): number {
    if ((features & FEATURE.ringPacked) !== 0n) return 0;
    try {
      return this.#parts.guest.readU16(used + USED_INDEX);
    } catch {
      // It is no longer memory: the kernel will report that.
      return 0;
    }
  }
}
