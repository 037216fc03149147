import type { AccessSize, DeviceState } from '../../../src/devices/device.ts';
import { FEATURE } from '../../../src/devices/virtio/features.ts';
import type {
  QueueProgress,
  RunningQueue,
  VirtioDevice,
  VirtioDriver,
  VirtioQueue,
} from '../../../src/devices/virtio/virtio-device.ts';

type Started = { readonly queue: VirtioQueue; readonly driver: VirtioDriver };

/** A virtio device that only records what its transport does. */
export class ProbeDevice implements VirtioDevice {
  readonly name = 'probe0';
  readonly type = 'probe';
  readonly deviceId = 4;
  readonly pciClass = 0xff0000;
  readonly queueNames = ['in', 'out'];
  readonly queueSizes = [64, 16];
  readonly features = 0b101n;
  readonly transportFeatures: bigint;
  readonly configSize = 10;
  readonly config = new Uint8Array(10);
  onConfigChanged: (() => void) | null = null;
  /** What the driver and the device have agreed on. */
  agreed = 0n;
  /** The queues that it serves, by index. */
  readonly running = new Map<number, Started>();
  /** The queues that the host blocks: each stops when its function is called. */
  readonly stopping = new Map<number, () => void>();
  /** How often each queue was started. */
  readonly starts = [0, 0];
  /** Whether the host blocks queues that are asked to stop. */
  hangs = false;
  /** How long, in milliseconds, each wait for a queue was to take at most. */
  readonly waits: number[] = [];
  abandoned = 0;
  /** What `startQueue` throws. */
  refusal: string | null = null;
  /** The positions that the queues return when stopped. */
  progress: QueueProgress[] = [];

  constructor(transportFeatures = FEATURE.ringIndirectDesc | FEATURE.ringEventIdx) {
    this.transportFeatures = transportFeatures;
  }

  readConfig(offset: number, size: AccessSize): number {
    if (offset + size > this.configSize) throw new RangeError('the transport checks this');
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.config[offset + i]! << (8 * i);
    return value >>> 0;
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size > this.configSize) throw new RangeError('the transport checks this');
    for (let i = 0; i < size; i++) this.config[offset + i] = value >>> (8 * i);
  }

  negotiated(features: bigint): void {
    this.agreed = features;
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const { index } = queue;
    if (this.running.has(index) || this.stopping.has(index)) throw new Error('started twice');
    this.starts[index]!++;
    if (this.refusal !== null) throw new Error(this.refusal);
    this.running.set(index, { queue, driver });
    let stopped: QueueProgress | null = null;
    return {
      requestStop: onEnded => {
        if (!this.running.delete(index)) return;
        this.stopping.set(index, () => {
          this.stopping.delete(index);
          stopped = this.progress[index] ?? queue.progress;
          onEnded?.();
        });
      },
      stop: limitMs => {
        this.waits.push(limitMs);
        if (!this.hangs && this.stopping.delete(index)) stopped = this.progress[index] ?? queue.progress;
        return stopped;
      },
      abandon: () => {
        this.stopping.delete(index);
        this.abandoned++;
        return null;
      },
    };
  }

  /** A running queue. */
  queue(index: number): VirtioQueue {
    return this.running.get(index)!.queue;
  }

  driver(index: number): VirtioDriver {
    return this.running.get(index)!.driver;
  }

  /** The host unblocks the queues. */
  release(): void {
    for (const end of [...this.stopping.values()]) end();
  }

  save(): DeviceState {
    return { config: this.config.slice() };
  }

  load(state: DeviceState): void {
    this.config.set(state.config as Uint8Array);
  }
}
