import type { AccessSize, DeviceState, StateValue } from '../../device.ts';
import type { BusAddress, DeviceBus } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { booleanOf, DeviceStateError } from '../../state.ts';
import { ModelQueue } from '../model-queue.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from '../virtio-device.ts';
import { EVENT, encodeMessage, MAX_MESSAGE_BYTES, PendingMessages, parseMessage } from './control.ts';
import type { PortOwner, SerialPort } from './port.ts';

/** Virtio 1.3 §5.3.3. */
const FEATURE = { size: 1n << 0n, multiport: 1n << 1n, emergencyWrite: 1n << 2n } as const;

/** {le16 columns, le16 rows, le32 max_nr_ports, le32 emerg_wr} (§5.3.4). */
const CONFIG = { columns: 0, rows: 2, ports: 4, emergencyWrite: 8, size: 12 } as const;

/** For a driver that reads it before a terminal is attached. */
const DEFAULT_SIZE = { columns: 80, rows: 25 };

const QUEUE_SIZE = 64;
/** The queues of control messages, to and from the driver, which follow those of port 0. */
const CONTROL = { receive: 2, transmit: 3 } as const;
/** The longest name of a port, and a little more. */
const MAX_PENDING_BYTES = 256;

/** The number of queues for this many ports. */
export function queuesOf(ports: number): number {
  return 2 * ports + 2;
}

type Services = Pick<MachineServices, 'memory' | 'events' | 'eventFds'>;

/** A console device (virtio 1.3 §5.3) with any number of ports, which connect to its bus. */
export class VirtioSerial implements VirtioDevice, PortOwner {
  readonly name: string;
  readonly type = 'virtio-serial';
  readonly deviceId = 3;
  readonly pciClass = 0x078000;
  readonly queueNames: readonly string[];
  readonly queueSizes: readonly number[];
  readonly features = FEATURE.size | FEATURE.multiport | FEATURE.emergencyWrite;
  readonly transportFeatures: bigint;
  readonly configSize = CONFIG.size;
  onConfigChanged: (() => void) | null = null;
  readonly #services: Services;
  /** By number. */
  readonly #ports: (SerialPort | null)[];
  readonly #pending = new PendingMessages();
  #agreed = 0n;
  /** The driver accepts control messages. */
  #ready = false;
  #control: ModelQueue | null = null;

  constructor(name: string, maxPorts: number, transportFeatures: bigint, services: Services) {
    this.name = name;
    this.transportFeatures = transportFeatures;
    this.#services = services;
    this.#ports = new Array<SerialPort | null>(maxPorts).fill(null);
    const others = Array.from({ length: maxPorts - 1 }, (_, index) => index + 1);
    this.queueNames = [
      ...['receive 0', 'transmit 0', 'control receive', 'control transmit'],
      ...others.flatMap(port => [`receive ${port}`, `transmit ${port}`]),
    ];
    this.queueSizes = this.queueNames.map(() => QUEUE_SIZE);
  }

  /** The bus of its ports: a console is at 0 if that is free, others from 1 on. */
  readonly bus: DeviceBus = {
    attach: ({ serialPort: port, device }, address) => {
      if (port === undefined) throw new Error(`${device.name} is not a port of a virtio-serial device`);
      const number = this.#placeOf(port, address);
      this.#ports[number] = port;
      port.connect(this, number);
    },
  };

  readConfig(offset: number, size: AccessSize): number {
    const view = new DataView(new ArrayBuffer(CONFIG.size));
    const { columns, rows } = this.#ports[0]?.size ?? DEFAULT_SIZE;
    view.setUint16(CONFIG.columns, columns, true);
    view.setUint16(CONFIG.rows, rows, true);
    view.setUint32(CONFIG.ports, this.#ports.length, true);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + view.getUint8(offset + i);
    return value;
  }

  writeConfig(offset: number, _size: AccessSize, value: number): void {
    if (offset === CONFIG.emergencyWrite) this.#ports[0]?.writeByte(value & 0xff);
  }

  negotiated(features: bigint): void {
    this.#agreed = features;
    if (features !== 0n) return;
    this.#ready = false;
    this.#pending.clear();
    for (const port of this.#ports) port?.reset();
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const { index } = queue;
    const start = (work: (queue: ModelQueue) => void) => new ModelQueue(queue, driver, this.#services, work);
    if (index === CONTROL.receive) {
      this.#control = start(model => this.#sendPending(model));
      return stopping(this.#control, () => {
        this.#control = null;
      });
    }
    if (index === CONTROL.transmit) return start(model => this.#takeMessages(model));
    const number = index < CONTROL.receive ? 0 : (index - 2) >> 1;
    const port = this.#ports[number] ?? null;
    // There is no port: output is dropped, and nothing is received.
    if (port === null) return start(index % 2 === 1 ? dropAll : () => {});
    // A driver without multiport has no messages: its port is ready and open.
    if (!(this.#agreed & FEATURE.multiport)) port.opened(true);
    if (index % 2 === 0) {
      const model = start(model => port.deliver(model));
      port.serveReceive(model);
      return stopping(model, () => port.serveReceive(null));
    }
    const model = start(model => port.drain(model));
    port.serveTransmit(model);
    return stopping(model, () => port.serveTransmit(null));
  }

  send(message: Uint8Array): void {
    if (!this.#ready) return;
    this.#pending.add(message);
    this.#control?.work();
  }

  /** A driver without multiport reads the size of the first one from the config space (§5.3.4). */
  resized(number: number): void {
    if (number === 0 && this.#agreed & FEATURE.size && !(this.#agreed & FEATURE.multiport))
      this.onConfigChanged?.();
  }

  save(): DeviceState {
    return { ready: this.#ready, pending: this.#pending.all.map(message => message.slice()) };
  }

  load(state: DeviceState): void {
    const ready = booleanOf(state, 'ready');
    const messages = messagesOf(state.pending);
    this.#ready = ready;
    this.#pending.clear();
    for (const message of messages) this.#pending.add(message);
  }

  #placeOf(port: SerialPort, address: BusAddress | null): number {
    const first = port.isConsole ? 0 : 1;
    const free = this.#ports.findIndex((other, number) => number >= first && other === null);
    const number = address?.unit ?? free;
    if (number < 0 || number >= this.#ports.length) {
      throw new Error(`${port.name}: ${this.name} has no free port: raise its max-ports`);
    }
    if (this.#ports[number] !== null)
      throw new Error(`${port.name}: port ${number} of ${this.name} is taken`);
    if (number === 0 && !port.isConsole) {
      throw new Error(`${port.name}: port 0 of ${this.name} is for a console: choose another`);
    }
    return number;
  }

  #sendPending(queue: ModelQueue): void {
    for (let message = this.#pending.first; message !== undefined; message = this.#pending.first) {
      const chain = queue.take();
      if (chain === null) return;
      // A message that does not fit is truncated, such as a name that is too long for the driver.
      queue.giveBack(chain, queue.write(chain, 0, message));
      this.#pending.shift();
    }
  }

  #takeMessages(queue: ModelQueue): void {
    for (let chain = queue.take(); chain !== null; chain = queue.take()) {
      const message = parseMessage(queue.read(chain, 0, MAX_MESSAGE_BYTES));
      queue.giveBack(chain, 0);
      if (message === null) continue;
      const port = this.#ports[message.id] ?? null;
      if (message.event === EVENT.deviceReady) this.#driverReady(message.value === 1);
      else if (message.event === EVENT.portReady) this.#portReady(port, message.value === 1);
      else if (message.event === EVENT.portOpen) port?.opened(message.value !== 0);
    }
  }

  /**
   * A driver that knows its ports from before the machine slept, as Linux's does, does not report again that it is
   * ready itself.
   */
  #portReady(port: SerialPort | null, ready: boolean): void {
    if (ready) this.#ready = true;
    port?.driverReady(ready);
  }

  /** A driver that has failed gets no ports. */
  #driverReady(ready: boolean): void {
    this.#ready = ready;
    if (!ready) return;
    for (const [id, port] of this.#ports.entries()) {
      if (port !== null) this.send(encodeMessage({ id, event: EVENT.deviceAdd, value: 1 }));
    }
  }
}

function dropAll(queue: ModelQueue): void {
  for (let chain = queue.take(); chain !== null; chain = queue.take()) queue.giveBack(chain, 0);
}

function stopping(queue: ModelQueue, stopped: () => void): RunningQueue {
  const stop = () => {
    stopped();
    return queue.stop();
  };
  return { requestStop: stop, stop, abandon: stop };
}

/** Messages as `save` has them. @throws DeviceStateError */
function messagesOf(value: StateValue | undefined): Uint8Array[] {
  const list = Array.isArray(value) ? [...value] : null;
  const isMessage = (item: StateValue | undefined): item is Uint8Array =>
    item instanceof Uint8Array && item.length <= MAX_PENDING_BYTES && parseMessage(item) !== null;
  if (list !== null && list.length <= 1024 && list.every(isMessage)) return list.map(item => item.slice());
  throw new DeviceStateError('pending', 'list of messages');
}
