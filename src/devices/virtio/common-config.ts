import type { AccessSize, DeviceState } from '../device.ts';
import { numberOf } from '../state.ts';
import { FEATURE } from './features.ts';
import type { VirtioLifecycle } from './lifecycle.ts';
import type { VirtioPciInterrupts } from './pci-interrupts.ts';

/** The fields of the common configuration structure (virtio 1.3 §4.1.4.3) and their offsets. */
const FIELD = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  numQueues: 0x12,
  deviceStatus: 0x14,
  configGeneration: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOffset: 0x1e,
  queueDescriptors: 0x20,
  queueAvailable: 0x28,
  queueUsed: 0x30,
  /** Reads as 0: NOTIFICATION_DATA is not offered. */
  queueNotifyData: 0x38,
  queueReset: 0x3a,
} as const;

const U32 = 2 ** 32;

/**
 * The registers with which a driver negotiates over PCI. Fields are written whole, the 64-bit ones in halves; writes of
 * any other width are ignored (§4.1.3.1 requires drivers to use the natural width). Reads may have any width.
 */
export class CommonConfig {
  /** The size of the structure for a device that offers these features: queue_reset came with RING_RESET. */
  static size(features: bigint): number {
    return features & FEATURE.ringReset ? 0x3c : 0x38;
  }

  readonly #lifecycle: VirtioLifecycle;
  readonly #interrupts: VirtioPciInterrupts;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  #queueSelect = 0;

  constructor(lifecycle: VirtioLifecycle, interrupts: VirtioPciInterrupts) {
    this.#lifecycle = lifecycle;
    this.#interrupts = interrupts;
  }

  read(offset: number, size: AccessSize): number {
    if ((offset & 3) + size > 4) return 0;
    return this.#dword(offset & ~3) >>> (8 * (offset & 3));
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 4) this.#write32(offset, value);
    else if (size === 2) this.#write16(offset, value);
    else if (offset === FIELD.deviceStatus) this.#lifecycle.writeStatus(value);
  }

  reset(): void {
    this.#deviceFeatureSelect = 0;
    this.#driverFeatureSelect = 0;
    this.#queueSelect = 0;
  }

  save(): DeviceState {
    return {
      deviceFeatureSelect: this.#deviceFeatureSelect,
      driverFeatureSelect: this.#driverFeatureSelect,
      queueSelect: this.#queueSelect,
    };
  }

  load(state: DeviceState): void {
    this.#deviceFeatureSelect = numberOf(state, 'deviceFeatureSelect', U32 - 1);
    this.#driverFeatureSelect = numberOf(state, 'driverFeatureSelect', U32 - 1);
    this.#queueSelect = numberOf(state, 'queueSelect', 0xffff);
  }

  get #queue() {
    return this.#lifecycle.queues[this.#queueSelect];
  }

  #dword(offset: number): number {
    const lifecycle = this.#lifecycle;
    const queue = this.#queue;
    switch (offset) {
      case FIELD.deviceFeatureSelect:
        return this.#deviceFeatureSelect;
      case FIELD.deviceFeature:
        return featureWord(lifecycle.offered, this.#deviceFeatureSelect);
      case FIELD.driverFeatureSelect:
        return this.#driverFeatureSelect;
      case FIELD.driverFeature:
        return featureWord(lifecycle.accepted, this.#driverFeatureSelect);
      case FIELD.configVector:
        return this.#interrupts.configVector | (lifecycle.queues.length << 16);
      case FIELD.deviceStatus:
        return lifecycle.status | (lifecycle.generation << 8) | (this.#queueSelect << 16);
      case FIELD.queueSize:
        // A queue that does not exist has size 0 (§4.1.4.3.2).
        return queue ? queue.size | (this.#interrupts.queueVector(this.#queueSelect) << 16) : 0;
      case FIELD.queueEnable:
        // The notify offset of a queue is its index.
        return queue ? (queue.enabled ? 1 : 0) | (this.#queueSelect << 16) : 0;
      case FIELD.queueDescriptors:
        return low(queue?.descriptors);
      case FIELD.queueDescriptors + 4:
        return high(queue?.descriptors);
      case FIELD.queueAvailable:
        return low(queue?.available);
      case FIELD.queueAvailable + 4:
        return high(queue?.available);
      case FIELD.queueUsed:
        return low(queue?.used);
      case FIELD.queueUsed + 4:
        return high(queue?.used);
      case FIELD.queueNotifyData:
        return (queue?.resetting ? 1 : 0) << 16;
      default:
        return 0;
    }
  }

  #write16(offset: number, value: number): void {
    const lifecycle = this.#lifecycle;
    const queue = this.#queue;
    if (offset === FIELD.queueSelect) this.#queueSelect = value;
    else if (lifecycle.resetting) return;
    else if (offset === FIELD.configVector) this.#interrupts.setConfigVector(value);
    else if (queue === undefined) return;
    else if (offset === FIELD.queueVector) this.#interrupts.setQueueVector(this.#queueSelect, value);
    else if (offset === FIELD.queueEnable && value === 1) lifecycle.enableQueue(queue);
    else if (offset === FIELD.queueReset && value === 1) lifecycle.resetQueue(queue);
    else if (offset === FIELD.queueSize && lifecycle.configurable(queue)) queue.size = value;
  }

  #write32(offset: number, value: number): void {
    if (offset === FIELD.deviceFeatureSelect) this.#deviceFeatureSelect = value;
    else if (offset === FIELD.driverFeatureSelect) this.#driverFeatureSelect = value;
    else if (offset === FIELD.driverFeature) this.#acceptFeatures(value);
    else if (offset >= FIELD.queueDescriptors) this.#writeAddress(offset, value);
  }

  #writeAddress(offset: number, value: number): void {
    const queue = this.#queue;
    if (queue === undefined || !this.#lifecycle.configurable(queue)) return;
    switch (offset) {
      case FIELD.queueDescriptors:
      case FIELD.queueDescriptors + 4:
        queue.descriptors = withHalf(queue.descriptors, offset, value);
        break;
      case FIELD.queueAvailable:
      case FIELD.queueAvailable + 4:
        queue.available = withHalf(queue.available, offset, value);
        break;
      case FIELD.queueUsed:
      case FIELD.queueUsed + 4:
        queue.used = withHalf(queue.used, offset, value);
        break;
    }
  }

  #acceptFeatures(value: number): void {
    // Words after the second have no bits that could be offered.
    if (this.#driverFeatureSelect > 1) return;
    const shift = BigInt(32 * this.#driverFeatureSelect);
    const others = this.#lifecycle.accepted & ~(0xffff_ffffn << shift);
    this.#lifecycle.accepted = others | (BigInt(value) << shift);
  }
}

function featureWord(bits: bigint, select: number): number {
  return select > 1 ? 0 : Number((bits >> BigInt(32 * select)) & 0xffff_ffffn);
}

function low(address = 0): number {
  return address % U32;
}

function high(address = 0): number {
  return Math.floor(address / U32);
}

/** `address` with the half at `offset` replaced (at a multiple of 8: the low one). Exact up to 2^53. */
function withHalf(address: number, offset: number, value: number): number {
  return offset % 8 === 0 ? high(address) * U32 + value : value * U32 + low(address);
}
