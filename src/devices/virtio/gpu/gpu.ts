import type { AccessSize, DeviceState } from '../../device.ts';
import { edid } from '../../display/edid.ts';
import { MONITOR_SIDE, type MonitorSize, type ScreenResize } from '../../display/monitor-size.ts';
import { DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { Statistic } from '../../statistic.ts';
import { ModelQueue, type ModelQueueServices } from '../model-queue.ts';
import type { Chain } from '../ring/chain.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from '../virtio-device.ts';
import { CURSOR_SIDE, Cursor } from './cursor.ts';
import { GpuPicture } from './picture.ts';
import {
  ATTACH_BACKING,
  COMMAND,
  commandOf,
  displayInfo,
  edidResponse,
  HEADER,
  isInside,
  LONGEST_COMMAND,
  RESPONSE,
  rectAt,
  response,
  viewOf,
} from './protocol.ts';
import type { Resource } from './resource.ts';
import { Resources } from './resources.ts';

/** Virtio 1.3 §5.7.3. */
const FEATURE = { edid: 1n << 1n } as const;
/** Offsets in the config space (§5.7.4). */
const CONFIG = { eventsRead: 0, eventsClear: 4, scanouts: 8, size: 16 } as const;
/** The display has changed: the driver should read its information and its EDID again. */
const EVENT_DISPLAY = 1;
const PIXEL_BYTES = 4;

const CONTROL = { queue: 0, size: 256 } as const;
const CURSOR_QUEUE_SIZE = 16;

/** The sizes of commands that have more than a header. */
const SIZE = {
  createResource2d: 40,
  unrefResource: 32,
  setScanout: 48,
  flushResource: 48,
  transferToHost2d: 56,
  detachBacking: 32,
  getEdid: 32,
  cursor: 56,
} as const;

/** The smallest side of a scan-out, as in QEMU. */
const LEAST_SCANOUT = 16;
/** The bytes that are copied in one batch. */
const BUDGET = 32 * 2 ** 20;

export type GpuOptions = {
  readonly name: string;
  readonly type: string;
  readonly pciClass: number;
  readonly transportFeatures: bigint;
  /** The mode that its monitor prefers. */
  readonly monitor: MonitorSize;
  readonly edid: boolean;
  /** The limit of the host memory that resources may take, in bytes. */
  readonly hostMemory: number;
};

export type GpuStatistics = { readonly flushes: Statistic; readonly bytes: Statistic };

/**
 * A GPU device without 3D (virtio 1.3 §5.7): the driver keeps resources on the host, fills them from its memory, and
 * selects the one that its display shows.
 */
export class VirtioGpu implements VirtioDevice {
  readonly name: string;
  readonly type: string;
  readonly deviceId = 16;
  readonly pciClass: number;
  readonly queueNames = ['control', 'cursor'];
  readonly queueSizes = [CONTROL.size, CURSOR_QUEUE_SIZE];
  readonly features: bigint;
  readonly transportFeatures: bigint;
  readonly configSize = CONFIG.size;
  onConfigChanged: (() => void) | null = null;
  readonly #services: ModelQueueServices;
  readonly #statistics: GpuStatistics;
  readonly #resources: Resources;
  readonly #cursor = new Cursor();
  readonly picture = new GpuPicture(this.#cursor);
  readonly #hostMemory: number;
  #monitor: MonitorSize;
  /** Events that the driver has not cleared. */
  #events = 0;
  /** The rest of the batch, in bytes. */
  #budget = BUDGET;
  /** The driver has set a scan-out since it started, even to nothing: from then on it controls the display. */
  #isInUse = false;

  constructor(options: GpuOptions, services: ModelQueueServices, statistics: GpuStatistics) {
    this.name = options.name;
    this.type = options.type;
    this.pciClass = options.pciClass;
    this.features = options.edid ? FEATURE.edid : 0n;
    this.transportFeatures = options.transportFeatures;
    this.#monitor = options.monitor;
    this.#hostMemory = options.hostMemory;
    this.#resources = new Resources(services.memory, options.hostMemory);
    this.#services = services;
    this.#statistics = statistics;
  }

  get isInUse(): boolean {
    return this.#isInUse;
  }

  readConfig(offset: number, size: AccessSize): number {
    const view = new DataView(new ArrayBuffer(CONFIG.size));
    view.setUint32(CONFIG.eventsRead, this.#events, true);
    view.setUint32(CONFIG.scanouts, 1, true);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + view.getUint8(offset + i);
    return value;
  }

  writeConfig(offset: number, _size: AccessSize, value: number): void {
    if (offset === CONFIG.eventsClear) this.#events &= ~value;
  }

  /** The monitor prefers another size, and the driver is notified. Whether it follows is up to the guest. */
  resize(size: MonitorSize): Exclude<ScreenResize, 'fixed'> {
    if (PIXEL_BYTES * size.width * size.height > this.#hostMemory) return 'memory';
    if (size.width === this.#monitor.width && size.height === this.#monitor.height) return 'notified';
    this.#monitor = { width: size.width, height: size.height };
    this.#events |= EVENT_DISPLAY;
    this.onConfigChanged?.();
    return 'notified';
  }

  negotiated(features: bigint): void {
    if (features === 0n) this.#reset();
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const respond = queue.index === CONTROL.queue ? this.#control : this.#moveCursor;
    return new ModelQueue(queue, driver, this.#services, model => {
      this.#budget = BUDGET;
      for (let chain = model.take(); chain !== null; chain = model.take()) {
        const command = viewOf(model.read(chain, 0, LONGEST_COMMAND), HEADER);
        if (command === null) {
          model.broken(`made a command of ${chain.readableBytes} bytes, which is less than its header`);
          return;
        }
        const answer = respond(command, model, chain);
        model.giveBack(chain, model.write(chain, 0, new Uint8Array(answer.buffer)));
        if (this.#budget < 0) {
          model.workSoon();
          return;
        }
      }
    });
  }

  save(): DeviceState {
    const { scanout } = this.picture;
    return {
      isInUse: this.#isInUse ? 1 : 0,
      resources: this.#resources.save(),
      scanout: scanout && { id: scanout.resource.id, ...scanout.rect },
      cursor: this.#cursor.save(),
      monitor: { ...this.#monitor },
      events: this.#events,
    };
  }

  load(state: DeviceState): void {
    this.#reset();
    this.#resources.load(state);
    if (state.scanout !== null) this.#loadScanout(stateOf(state, 'scanout'));
    this.#cursor.load(stateOf(state, 'cursor'));
    this.#isInUse = numberOf(state, 'isInUse', 1) === 1;
    // A state from an earlier version has the monitor of its definition.
    if (state.monitor === undefined) return;
    this.#monitor = monitorOf(stateOf(state, 'monitor'));
    this.#events = numberOf(state, 'events', EVENT_DISPLAY);
  }

  close(): void {
    this.#reset();
  }

  #reset(): void {
    this.#resources.clear();
    this.picture.show(null);
    this.#cursor.reset();
    this.#events = 0;
    this.#isInUse = false;
  }

  #loadScanout(state: DeviceState): void {
    const number = (key: string) => numberOf(state, key, 0xffff_ffff);
    const resource = this.#resources.get(number('id'));
    const rect = { x: number('x'), y: number('y'), width: number('width'), height: number('height') };
    if (resource === null || !isInside(rect, resource))
      throw new DeviceStateError('scanout', 'part of a picture');
    this.picture.show({ resource, rect });
  }

  readonly #control = (command: DataView, model: ModelQueue, chain: Chain): DataView => {
    switch (commandOf(command)) {
      case COMMAND.getDisplayInfo:
        return displayInfo(command, this.#monitor.width, this.#monitor.height);
      case COMMAND.getEdid:
        return this.#edid(command);
      case COMMAND.createResource2d:
        return response(this.#create(command), command);
      case COMMAND.unrefResource:
        return response(this.#unref(command), command);
      case COMMAND.setScanout:
        return response(this.#setScanout(command), command);
      case COMMAND.flushResource:
        return response(this.#flush(command), command);
      case COMMAND.transferToHost2d:
        return response(this.#transfer(command), command);
      case COMMAND.attachBacking:
        return response(this.#attach(command, model, chain), command);
      case COMMAND.detachBacking:
        return response(
          command.byteLength < SIZE.detachBacking
            ? RESPONSE.unspecified
            : this.#resources.detach(command.getUint32(HEADER, true)),
          command,
        );
      default:
        return response(RESPONSE.unspecified, command);
    }
  };

  #edid(command: DataView): DataView {
    if (command.byteLength < SIZE.getEdid || this.features === 0n)
      return response(RESPONSE.unspecified, command);
    if (command.getUint32(HEADER, true) !== 0) return response(RESPONSE.invalidParameter, command);
    return edidResponse(command, edid(this.#monitor.width, this.#monitor.height, 'vring screen'));
  }

  #create(command: DataView): number {
    if (command.byteLength < SIZE.createResource2d) return RESPONSE.unspecified;
    const word = (index: number) => command.getUint32(HEADER + 4 * index, true);
    return this.#resources.create({ id: word(0), format: word(1), width: word(2), height: word(3) });
  }

  #unref(command: DataView): number {
    const resource = this.#resourceOf(command, SIZE.unrefResource, HEADER);
    if (resource === null) return RESPONSE.invalidResource;
    if (this.picture.scanout?.resource === resource) this.picture.show(null);
    this.#resources.remove(resource);
    return RESPONSE.ok;
  }

  #setScanout(command: DataView): number {
    if (command.byteLength < SIZE.setScanout) return RESPONSE.unspecified;
    if (command.getUint32(HEADER + 16, true) !== 0) return RESPONSE.invalidScanout;
    const id = command.getUint32(HEADER + 20, true);
    if (id === 0) {
      this.#isInUse = true;
      this.picture.show(null);
      return RESPONSE.ok;
    }
    const resource = this.#resources.get(id);
    if (resource === null) return RESPONSE.invalidResource;
    const rect = rectAt(command, HEADER);
    if (!isInside(rect, resource) || Math.min(rect.width, rect.height) < LEAST_SCANOUT)
      return RESPONSE.invalidParameter;
    this.#isInUse = true;
    this.picture.show({ resource, rect });
    return RESPONSE.ok;
  }

  #flush(command: DataView): number {
    const resource = this.#resourceOf(command, SIZE.flushResource, HEADER + 16);
    if (resource === null) return RESPONSE.invalidResource;
    const rect = rectAt(command, HEADER);
    if (!isInside(rect, resource)) return RESPONSE.invalidParameter;
    this.#statistics.flushes.add(1);
    this.picture.flush(resource, rect);
    return RESPONSE.ok;
  }

  #transfer(command: DataView): number {
    if (command.byteLength < SIZE.transferToHost2d) return RESPONSE.unspecified;
    const id = command.getUint32(HEADER + 24, true);
    // An offset past 2^53 is beyond all memory, whatever its last digits.
    const offset = Number(command.getBigUint64(HEADER + 16, true));
    return this.#resources.fill(id, rectAt(command, HEADER), offset, bytes => {
      this.#budget -= bytes;
      this.#statistics.bytes.add(bytes);
    });
  }

  #attach(command: DataView, model: ModelQueue, chain: Chain): number {
    if (command.byteLength < ATTACH_BACKING) return RESPONSE.unspecified;
    const [id, count] = [0, 4].map(at => command.getUint32(HEADER + at, true));
    return this.#resources.attach(id!, count!, bytes => model.read(chain, ATTACH_BACKING, bytes));
  }

  readonly #moveCursor = (command: DataView): DataView => {
    const type = commandOf(command);
    if (command.byteLength < SIZE.cursor || (type !== COMMAND.updateCursor && type !== COMMAND.moveCursor))
      return response(RESPONSE.unspecified, command);
    if (command.getUint32(HEADER, true) !== 0) return response(RESPONSE.invalidScanout, command);
    const id = command.getUint32(HEADER + 16, true);
    const resource = this.#resources.get(id);
    const isCursor = resource?.width === CURSOR_SIDE && resource.height === CURSOR_SIDE;
    if (type === COMMAND.updateCursor && id !== 0 && !isCursor)
      return response(RESPONSE.invalidResource, command);
    this.picture.changeCursor(() => {
      if (type === COMMAND.updateCursor) this.#cursor.set(resource);
      this.#cursor.move(command.getUint32(HEADER + 4, true), command.getUint32(HEADER + 8, true));
    });
    return response(RESPONSE.ok, command);
  };

  /** The resource whose ID is at byte `at` of a command of `size` bytes; null if there is none. */
  #resourceOf(command: DataView, size: number, at: number): Resource | null {
    if (command.byteLength < size) return null;
    return this.#resources.get(command.getUint32(at, true));
  }
}

function monitorOf(state: DeviceState): MonitorSize {
  const side = (key: 'width' | 'height') => {
    const value = numberOf(state, key, MONITOR_SIDE.most);
    if (value < MONITOR_SIDE.least) throw new DeviceStateError(key, 'side of a monitor');
    return value;
  };
  return { width: side('width'), height: side('height') };
}
