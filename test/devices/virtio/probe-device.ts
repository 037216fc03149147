import type { AccessSize, DeviceState } from '../../../src/devices/device.ts';
import type { Activation, QueueProgress, VirtioDevice } from '../../../src/devices/virtio/virtio-device.ts';

/** A virtio device that only records what its transport does. */
export class ProbeDevice implements VirtioDevice {
  readonly name = 'probe0';
  readonly type = 'probe';
  readonly deviceId = 4;
  readonly pciClass = 0xff0000;
  readonly queueNames = ['in', 'out'];
  readonly queueSizes = [64, 16];
  readonly features = 0b101n;
  readonly configSize = 10;
  readonly config = new Uint8Array(10);
  activation: Activation | null = null;
  activations = 0;
  deactivations = 0;
  /** What `activate` throws. */
  refusal: string | null = null;
  /** The positions that the queues return when stopped. */
  progress: QueueProgress[] = [];

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

  activate(activation: Activation): void {
    if (this.activation !== null) throw new Error('activated twice');
    this.activation = activation;
    this.activations++;
    if (this.refusal !== null) throw new Error(this.refusal);
  }

  deactivate(): QueueProgress[] {
    if (this.activation === null) throw new Error('deactivated without an activation');
    this.activation = null;
    this.deactivations++;
    return this.progress;
  }

  save(): DeviceState {
    return { config: this.config.slice() };
  }

  load(state: DeviceState): void {
    this.config.set(state.config as Uint8Array);
  }
}
