import {
  type DataPath,
  type FramePort,
  type NetBackend,
  type NetOffloads,
  type NetQueueOptions,
  NO_OFFLOADS,
  type ReceiveFilter,
  type ReceiveSideScaling,
} from '../../../devices/backends/net.ts';
import { DIRECTIONS, type NetLimits } from '../../../devices/backends/net-limits.ts';
import type { Cancel, Clock, EventLoop } from '../../../devices/device.ts';
import { FEATURE } from '../../../devices/virtio/features.ts';
import type { QueueProgress, RunningQueue, VirtioQueue } from '../../../devices/virtio/virtio-device.ts';
import { codeText } from '../../../text/errno.ts';
import { eventfd, SystemError } from '../../native/libc.ts';
import type { NativeVm } from '../../native/native-vm.ts';
import { NativeWire } from '../../native/native-wire.ts';
import type { QueueThreads } from '../../native/queue-threads.ts';
import type { ResourceOwner } from '../../native/resource-owner.ts';
import type { PortMemory } from '../port-memory.ts';
import { CardQueue } from './card-queue.ts';
import { FrameSender } from './frame-sender.ts';
import type { MachineHubs } from './machine-hubs.ts';
import { SEND_HEADER_BYTES } from './send-ring.ts';
import { TapSteering } from './steering/tap-steering.ts';
import { setTapOffloads, setTapQueue, tapOffloads } from './tap-offloads.ts';
import { type VhostParts, VhostPath } from './vhost-path.ts';
import { type Wire, wireFds } from './wire.ts';
import { type FdEvents, WirePort } from './wire-port.ts';

/** Offloads that the device does itself for a wire without headers. */
const IN_SOFTWARE: NetOffloads = { ...NO_OFFLOADS, checksum: true, tso4: true, tso6: true, ecn: true };

/** What serves a wire, and what closes its files if nothing else does. */
export type WireParts = {
  readonly queues: QueueThreads;
  readonly native: NativeVm;
  readonly owner: ResourceOwner;
  readonly events: EventLoop & FdEvents & Pick<Clock, 'now' | 'at'>;
  readonly clock: Pick<Clock, 'now' | 'at'>;
  readonly hubs: MachineHubs;
  /** For the frames of ports. */
  readonly sendMemory: PortMemory;
  readonly vhost: Pick<VhostParts, 'memory' | 'guest' | 'open'>;
};

/** The network of a card. Its queues are served by the kernel if possible (vhost-net), otherwise by native threads. */
export class WireBackend implements NetBackend {
  readonly label: string;
  readonly interface: string | null;
  readonly program: string | null;
  readonly mtu: number | null;
  readonly queuePairs: number;
  readonly takes: NetOffloads;
  readonly gives: NetOffloads;
  onConnected: ((connected: boolean) => void) | null = null;
  onDataPath: (() => void) | null = null;
  readonly #wire: Wire;
  readonly #parts: WireParts;
  readonly #native: NativeWire;
  readonly #noticeFd: number;
  readonly #unwatch: Cancel;
  readonly #leaveHub: () => void;
  readonly #vhost: VhostPath | null;
  readonly #steering: TapSteering | null;
  /** Queues that run or have run. */
  readonly #queues = new Set<CardQueue>();
  #port: WirePort | null = null;
  #link = true;
  #limits: NetLimits = {};
  #pairs = 1;
  #filter: ReceiveFilter | null = null;
  /** Why the kernel does not serve a running queue; null if it would, or if none runs. */
  #withoutVhost: string | null = null;
  #isGone = false;

  /** @param device the card's name */
  constructor(device: string, wire: Wire, parts: WireParts) {
    const { native, owner, events, hubs } = parts;
    for (const fd of wireFds(wire)) owner.ownFd(fd);
    this.#wire = wire;
    this.#parts = parts;
    this.label = wire.label;
    this.interface = wire.interface ?? null;
    this.program = wire.program ?? null;
    this.mtu = wire.mtu ?? null;
    this.queuePairs = Math.max(1, wire.fds.length);
    const hasHeader = wire.header === 'virtio';
    this.gives = hasHeader ? tapOffloads(wire.fds[0]!) : NO_OFFLOADS;
    this.takes = hasHeader ? this.gives : IN_SOFTWARE;
    this.#noticeFd = native.ownFd(eventfd());
    this.#native = new NativeWire(native.handle, wire, this.#noticeFd);
    this.#unwatch = events.watch(this.#noticeFd, () => this.onConnected?.(this.connected));
    this.#vhost = this.#openVhost();
    this.#steering = wire.steering === undefined ? null : new TapSteering(wire.fds[0]!, wire.steering);
    this.setPairs(1);
    this.#leaveHub = wire.hub === undefined ? () => {} : hubs.attach(device, wire.hub);
  }

  startReceive(queue: VirtioQueue, options: NetQueueOptions): RunningQueue {
    return this.#start(queue, options, false);
  }

  startTransmit(queue: VirtioQueue, options: NetQueueOptions): RunningQueue {
    return this.#start(queue, options, true);
  }

  setOffloads(offloads: NetOffloads): void {
    if (this.#wire.header !== 'virtio') return;
    const { gives } = this;
    const names = Object.keys(gives) as (keyof NetOffloads)[];
    const both = Object.fromEntries(names.map(name => [name, gives[name] && offloads[name]]));
    setTapOffloads(this.#wire.fds[0]!, both as NetOffloads);
  }

  setPairs(count: number): void {
    this.#pairs = count;
    const { fds, interface: name } = this.#wire;
    if (name !== undefined && fds.length > 1) {
      for (const [pair, fd] of fds.entries()) setTapQueue(fd, pair < count);
    }
    this.#native.set(this.#link, count);
  }

  get scales(): boolean {
    return this.#steering !== null;
  }

  setScaling(scaling: ReceiveSideScaling | null): void {
    this.#steering?.set(scaling);
  }

  setFilter(filter: ReceiveFilter): void {
    this.#native.setFilter(filter);
    this.#vhost?.setFilter(filter);
    this.#reconsider(() => {
      this.#filter = filter;
    });
  }

  setLink(up: boolean): void {
    this.#reconsider(() => {
      this.#link = up;
    });
    this.#native.set(up, this.#pairs);
    this.#port?.setLink(up);
  }

  setLimits(limits: NetLimits): void {
    this.#port?.setLimits(limits);
    for (const direction of DIRECTIONS) {
      const {
        pps = 0,
        bps = 0,
        'pps-burst': ppsBurst = 0,
        'bps-burst': bpsBurst = 0,
      } = limits[direction] ?? {};
      this.#native.limit(direction, {
        operations: pps,
        operationsBurst: ppsBurst,
        bytes: bps,
        bytesBurst: bpsBurst,
      });
    }
    this.#reconsider(() => {
      this.#limits = limits;
    });
  }

  get connected(): boolean {
    return !this.#isGone && this.#native.isConnected && (this.#port?.connected ?? true);
  }

  get dataPath(): DataPath {
    const { withoutVhost } = this.#wire;
    if (this.#vhost === null) return { kernel: false, why: withoutVhost ?? null };
    const why = this.#refusal ?? this.#withoutVhost;
    return { kernel: why === null, why };
  }

  openPort(): FramePort {
    const hungUp = () => this.onConnected?.(false);
    this.#port = new WirePort(this.#wire, this.#parts.events, this.#parts.clock, hungUp);
    this.#port.setLink(this.#link);
    this.#port.setLimits(this.#limits);
    if (this.#wire.fds.length > 0) this.#port.sendBy(this.#sender(this.#port));
    return this.#port;
  }

  #sender(port: WirePort): FrameSender {
    const { owner, events, queues, sendMemory } = this.#parts;
    const net = { wire: this.#native, pair: 0, transmits: true };
    const headerBytes = this.#wire.header === 'virtio' ? SEND_HEADER_BYTES : 0;
    return new FrameSender({
      ...{ owner, events, memory: sendMemory, headerBytes },
      start: (queue, own, onBroken) => queues.startNet(queue, FEATURE.version1, net, { onBroken }, own),
      write: (frame, length) => port.write(frame, length),
      onRoom: () => port.roomAgain(),
    });
  }

  close(): void {
    const { native, owner } = this.#parts;
    this.#port?.close();
    this.#unwatch();
    this.#leaveHub();
    this.#native.close();
    this.#vhost?.close();
    this.#steering?.close();
    native.closeFd(this.#noticeFd);
    for (const fd of wireFds(this.#wire)) owner.closeFd(fd);
  }

  #openVhost(): VhostPath | null {
    const wire = this.#wire;
    if (wire.vhost === undefined) return null;
    const { native, events, vhost } = this.#parts;
    return new VhostPath(
      { ...wire, vhost: wire.vhost },
      { native, events, ...vhost },
      {
        onRefused: () => this.#switchQueues(),
        onGone: () => {
          if (this.#isGone) return;
          this.#isGone = true;
          this.onConnected?.(false);
        },
      },
    );
  }

  get #refusal(): string | null {
    const settings = { link: this.#link, limits: this.#limits, filter: this.#filter };
    return this.#vhost?.refusal(settings) ?? null;
  }

  /** Makes a change that may move the queues to or from the kernel. */
  #reconsider(change: () => void): void {
    const before = this.#refusal;
    change();
    const now = this.#refusal;
    if (before === now) return;
    if ((before === null) !== (now === null)) this.#switchQueues();
    else this.onDataPath?.();
  }

  #switchQueues(): void {
    for (const queue of this.#queues) queue.restart();
    this.onDataPath?.();
  }

  #start(queue: VirtioQueue, options: NetQueueOptions, transmits: boolean): RunningQueue {
    const start = (progress: QueueProgress) => {
      const now = { ...queue, progress };
      return this.#startInKernel(now, options, transmits) ?? this.#startThread(now, options, transmits);
    };
    const card: CardQueue = new CardQueue(queue.progress, start, options.onBroken, () =>
      this.#queues.delete(card),
    );
    this.#queues.add(card);
    return card;
  }

  #startInKernel(queue: VirtioQueue, options: NetQueueOptions, transmits: boolean): RunningQueue | null {
    if (this.#vhost === null || this.#refusal !== null) return null;
    this.#withoutVhost = this.#vhost.missing(options.features, queue.progress);
    this.onDataPath?.();
    return this.#withoutVhost === null ? this.#vhost.start(queue, options, transmits) : null;
  }

  #startThread(
    queue: VirtioQueue,
    { features, pair, onBroken }: NetQueueOptions,
    transmits: boolean,
  ): RunningQueue {
    try {
      const net = { wire: this.#native, pair, transmits };
      return this.#parts.queues.startNet(queue, features, net, { onBroken });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new Error(`the thread for a queue of ${this.label} cannot be started: ${codeText(error.code)}`);
    }
  }
}
