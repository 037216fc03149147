import {
  type DataPath,
  type FramePort,
  type NetBackend,
  type NetOffloads,
  type NetQueueOptions,
  NO_OFFLOADS,
  type ReceiveFilter,
  type ReceiveSideScaling,
} from '../../src/devices/backends/net.ts';
import type { NetLimits } from '../../src/devices/backends/net-limits.ts';
import type { QueueProgress, RunningQueue, VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';

export const ALL_OFFLOADS: NetOffloads = {
  checksum: true,
  tso4: true,
  tso6: true,
  ecn: true,
  ufo: true,
  uso4: true,
  uso6: true,
};

type Running = {
  readonly queue: VirtioQueue;
  readonly options: NetQueueOptions;
  readonly transmits: boolean;
};

/** A card's end of a network whose other end is the test. */
export class FakeFramePort implements FramePort {
  onFrame: ((frame: Uint8Array) => boolean) | null = null;
  onReady: (() => void) | null = null;
  /** Frames sent by the card. */
  readonly sent: Uint8Array[] = [];
  /** How many more frames the other end accepts. */
  room = Number.POSITIVE_INFINITY;
  isReceiving = false;
  #waiting: Uint8Array[] = [];
  /** Frames to send with the next flush. */
  readonly #given: Uint8Array[] = [];

  send(frame: Uint8Array): boolean {
    if (this.room === 0) return false;
    this.room--;
    this.#given.push(frame.slice());
    return true;
  }

  flush(): void {
    this.sent.push(...this.#given.splice(0));
  }

  /** Sends frames from the other end, which wait while the card has no buffers. @returns how many wait */
  receive(...frames: Uint8Array[]): number {
    this.#waiting.push(...frames);
    this.#deliver();
    return this.#waiting.length;
  }

  /** The other end accepts frames again. */
  drain(frames = Number.POSITIVE_INFINITY): void {
    this.room = frames;
    this.onReady?.();
  }

  resume(): void {
    if (this.isReceiving) return;
    this.isReceiving = true;
    this.#deliver();
  }

  pause(): void {
    this.isReceiving = false;
  }

  close(): void {
    this.isReceiving = false;
    this.#waiting = [];
  }

  #deliver(): void {
    while (this.isReceiving && this.#waiting.length > 0) {
      // Only valid during the call.
      const frame = this.#waiting[0]!.slice();
      const taken = this.onFrame?.(frame) ?? true;
      frame.fill(0xee);
      if (taken) this.#waiting.shift();
      else this.isReceiving = false;
    }
  }
}

/** A network whose queues only record how they were started. */
export class FakeNetBackend implements NetBackend {
  readonly label = 'fake0';
  readonly interface = null;
  readonly program = null;
  mtu: number | null = null;
  queuePairs = 4;
  takes = ALL_OFFLOADS;
  gives = ALL_OFFLOADS;
  connected = true;
  onConnected: ((connected: boolean) => void) | null = null;
  dataPath: DataPath = { kernel: false, why: null };
  onDataPath: (() => void) | null = null;
  /** Running queues, by index. */
  readonly running = new Map<number, Running>();
  /** Queues that were asked to stop but have not yet, by index: calling the function stops the queue. */
  readonly held = new Map<number, () => void>();
  progress: QueueProgress = { lastAvail: 0, usedIndex: 0 };
  offloads = NO_OFFLOADS;
  pairs = 0;
  filter: ReceiveFilter | null = null;
  scales = true;
  scaling: ReceiveSideScaling | null = null;
  link = true;
  limits: NetLimits = {};
  closed = false;

  startReceive(queue: VirtioQueue, options: NetQueueOptions): RunningQueue {
    return this.#start(queue, options, false);
  }

  startTransmit(queue: VirtioQueue, options: NetQueueOptions): RunningQueue {
    return this.#start(queue, options, true);
  }

  setOffloads(offloads: NetOffloads): void {
    this.offloads = offloads;
  }

  setPairs(count: number): void {
    this.pairs = count;
  }

  setScaling(scaling: ReceiveSideScaling | null): void {
    this.scaling = scaling;
  }

  setFilter(filter: ReceiveFilter): void {
    this.filter = filter;
  }

  setLink(up: boolean): void {
    this.link = up;
  }

  setLimits(limits: NetLimits): void {
    this.limits = limits;
  }

  /** Lets the delayed queues stop. */
  release(): void {
    for (const end of [...this.held.values()]) end();
  }

  /** The port of the card that opened it last, if its model has one. */
  port = new FakeFramePort();

  openPort(): FramePort {
    this.port = new FakeFramePort();
    return this.port;
  }

  /** Disconnects or reconnects the other end. */
  connect(connected: boolean): void {
    this.connected = connected;
    this.onConnected?.(connected);
  }

  close(): void {
    if (this.running.size > 0) throw new Error('a queue still uses the network');
    this.closed = true;
  }

  #start(queue: VirtioQueue, options: NetQueueOptions, transmits: boolean): RunningQueue {
    const { index } = queue;
    if (this.running.has(index)) throw new Error(`queue ${index} runs already`);
    this.running.set(index, { queue, options, transmits });
    let stopped = false;
    return {
      requestStop: onEnded => {
        this.held.set(index, () => {
          this.held.delete(index);
          stopped = true;
          onEnded?.();
        });
      },
      stop: () => {
        if (this.held.delete(index)) stopped = true;
        if (!stopped) return null;
        this.running.delete(index);
        return this.progress;
      },
      abandon: () => {
        this.running.delete(index);
        return null;
      },
    };
  }
}
