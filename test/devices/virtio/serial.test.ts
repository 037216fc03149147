import { beforeEach, describe, expect, test } from 'vitest';
import type { CharBackend, TerminalSize } from '../../../src/devices/backends/char.ts';
import { SerialPort } from '../../../src/devices/virtio/serial/port.ts';
import { VirtioSerial } from '../../../src/devices/virtio/serial/serial.ts';
import { VirtioPci } from '../../../src/devices/virtio/transport-pci.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { type DriverQueue, GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';

const SIZE = 1n << 0n;
const MULTIPORT = 1n << 1n;
const EVENT = { ready: 0, add: 1, portReady: 3, console: 4, resize: 5, open: 6, name: 7 } as const;
/** Where the driver's buffers are. */
const OUT = 0x8_0000;
const IN = 0x9_0000;

/** A back end that records what it gets, and accepts as much as the test allows. */
class TestChar implements CharBackend {
  written = '';
  room = 1 << 20;
  connected = true;
  size: TerminalSize | null = null;
  taken = 0;
  waiting = 0;
  onInput: ((bytes: Uint8Array) => void) | null = null;
  onRoom: (() => void) | null = null;
  onConnected: ((connected: boolean) => void) | null = null;
  onResized: ((size: TerminalSize) => void) | null = null;

  write(bytes: Uint8Array): void {
    this.written += Buffer.from(bytes).toString('latin1');
    this.room -= bytes.length;
  }

  inputTaken(count: number, waiting: number): void {
    this.taken += count;
    this.waiting = waiting;
  }

  type(text: string): void {
    this.onInput?.(Buffer.from(text));
  }
}

class Rig {
  readonly machine = new FakeMachine();
  readonly console = new TestChar();
  readonly agent = new TestChar();
  readonly serial = new VirtioSerial('vserial0', 3, 0n, this.machine.services);
  readonly ports = [
    new SerialPort({ name: 'hvc0', isConsole: true, portName: '', backend: this.console }),
    new SerialPort({ name: 'vport0', isConsole: false, portName: 'org.test.0', backend: this.agent }),
  ];
  readonly device: VirtioPci;
  readonly driver: GuestDriver;
  queues: DriverQueue[] = [];
  #buffers = 0;

  constructor() {
    this.device = new VirtioPci(this.serial, this.machine.services);
    for (const port of this.ports) this.serial.bus.attach({ device: port, serialPort: port }, null);
    this.machine.pci.plug(this.device.function);
    this.machine.pci.assign();
    this.driver = new GuestDriver(this.machine, 1);
  }

  start(features = MULTIPORT): this {
    this.driver.negotiate(VERSION_1 | features);
    const count = features & MULTIPORT ? this.driver.get16(0x12) : 2;
    this.queues = Array.from({ length: count }, (_, index) =>
      this.driver.queue(index, 16, 0x1000 * (index + 1)),
    );
    // No index of an earlier driver is left.
    this.machine.memory.writable(0x1000, 0x1000 * count).fill(0);
    for (const queue of this.queues) queue.enable();
    this.driver.driverOk();
    this.machine.eventFds.settle();
    return this;
  }

  /** Offers buffers for the device to send in a queue. */
  offer(queue: number, count: number, length = 64): void {
    for (let i = 0; i < count; i++) {
      this.queues[queue]!.add({ address: IN + 0x100 * this.#buffers++, length, write: true });
    }
    this.queues[queue]!.kick();
    this.machine.eventFds.settle();
  }

  /** What the device has sent in a queue. */
  received(queue: number): Uint8Array[] {
    const { memory } = this.machine;
    return this.queues[queue]!.collect().map(({ head, written }) => {
      const at = Number(memory.readU64(this.queues[queue]!.descriptors + 16 * head));
      return memory.readable(at, written).slice();
    });
  }

  send(queue: number, bytes: Uint8Array): void {
    const address = OUT + 0x100 * this.#buffers++;
    this.machine.memory.writable(address, bytes.length).set(bytes);
    this.queues[queue]!.add({ address, length: bytes.length });
    this.queues[queue]!.kick();
    this.machine.eventFds.settle();
  }

  message(id: number, event: number, value: number): void {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    this.send(3, bytes);
  }

  /** Control messages as `id event value rest`. */
  messages(): string[] {
    return this.received(2).map(bytes => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const rest = Buffer.from(bytes.subarray(8)).toString('latin1');
      return `${view.getUint32(0, true)} ${view.getUint16(4, true)} ${view.getUint16(6, true)} ${rest}`.trim();
    });
  }

  /** As Linux: up to both ports being open. */
  open(): this {
    this.start();
    this.offer(2, 12);
    this.message(0, EVENT.ready, 1);
    for (const id of [0, 1]) {
      this.message(id, EVENT.portReady, 1);
      this.message(id, EVENT.open, 1);
    }
    this.messages();
    return this;
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describe('virtio-serial', () => {
  test('announces its ports to a driver', () => {
    rig.console.size = { columns: 132, rows: 43 };
    rig.start();
    rig.offer(2, 12);
    expect(rig.messages()).toEqual([]);
    rig.message(0, EVENT.ready, 1);
    expect(rig.messages()).toEqual([`0 ${EVENT.add} 1`, `1 ${EVENT.add} 1`]);
    rig.message(0, EVENT.portReady, 1);
    expect(rig.messages()).toEqual([
      `0 ${EVENT.console} 1`,
      `0 ${EVENT.resize} 0 \x84\0+\0`,
      `0 ${EVENT.open} 1`,
    ]);
    rig.message(1, EVENT.portReady, 1);
    expect(rig.messages()).toEqual([`1 ${EVENT.name} 1 org.test.0`, `1 ${EVENT.open} 1`]);
  });

  test('transfers data both ways, for each port separately', () => {
    rig.open();
    rig.send(1, Buffer.from('login: '));
    rig.send(5, Buffer.from('{"return": {}}'));
    expect([rig.console.written, rig.agent.written]).toEqual(['login: ', '{"return": {}}']);
    rig.console.type('root\r');
    expect(rig.console.waiting).toBe(0);
    rig.offer(0, 2, 4);
    expect(rig.received(0).map(bytes => Buffer.from(bytes).toString())).toEqual(['root', '\r']);
    expect(rig.console.taken).toBe(5);
    rig.agent.type('ping');
    rig.offer(4, 1);
    expect(Buffer.from(rig.received(4)[0]!).toString()).toBe('ping');
  });

  test('keeps input until the guest has opened the port', () => {
    rig.start();
    rig.offer(4, 2);
    rig.agent.type('early');
    rig.machine.eventFds.settle();
    expect(rig.received(4)).toEqual([]);
    rig.message(1, EVENT.open, 1);
    rig.machine.eventFds.settle();
    expect(rig.received(4)).toHaveLength(1);
    rig.message(1, EVENT.open, 0);
    rig.agent.type('late');
    rig.machine.eventFds.settle();
    expect(rig.received(4)).toEqual([]);
  });

  test('leaves output in the ring while the other end accepts none, and never loses or repeats any', () => {
    rig.open();
    rig.agent.room = 5;
    rig.send(5, Buffer.from('hello, world'));
    rig.send(1, Buffer.from('still here'));
    expect([rig.agent.written, rig.console.written]).toEqual(['hello', 'still here']);
    expect(rig.queues[5]!.collect()).toEqual([]);
    // A pause in the middle: the machine continues in another process.
    rig.device.quiesce(() => {});
    const states = [rig.device.save(), ...rig.ports.map(port => port.save())];
    const { memory } = rig.machine;
    const queues = rig.queues;
    rig = new Rig();
    rig.machine.memory.writable(0, 0x10_0000).set(memory.readable(0, 0x10_0000));
    rig.device.quiesce(() => {});
    rig.device.load(states[0]!);
    rig.ports.forEach((port, index) => {
      port.load(states[index + 1]!);
    });
    rig.agent.room = 4;
    rig.device.resume();
    rig.machine.eventFds.settle();
    expect(rig.agent.written).toBe(', wo');
    rig.agent.room = 100;
    rig.agent.onRoom?.();
    expect(rig.agent.written).toBe(', world');
    const used = rig.machine.memory.readU16(queues[5]!.used + 2);
    expect(used).toBe(1);
  });

  test('notifies the guest of connects, disconnects and a new size, once it accepts messages', () => {
    rig.open();
    rig.agent.connected = false;
    rig.agent.onConnected?.(false);
    expect(rig.messages()).toEqual([`1 ${EVENT.open} 0`]);
    // Of the changes while the driver has no buffers, only the last is sent.
    for (const columns of [80, 81, 82]) rig.console.onResized?.({ columns, rows: 24 });
    while (rig.messages().length > 0) rig.message(9, 9, 9);
    for (const connected of [true, false, true]) {
      rig.agent.connected = connected;
      rig.agent.onConnected?.(connected);
    }
    for (let columns = 1; columns < 100; columns++) rig.console.onResized?.({ columns, rows: 24 });
    rig.offer(2, 12);
    expect(rig.messages().slice(-2)).toEqual([`1 ${EVENT.open} 1`, `0 ${EVENT.resize} 0 c\0\x18\0`]);
  });

  test('serves the first port to a driver without MULTIPORT', () => {
    rig.start(0n);
    rig.send(1, Buffer.from('boot'));
    rig.console.type('x');
    rig.offer(0, 1);
    expect(rig.console.written).toBe('boot');
    expect(rig.received(0)).toHaveLength(1);
    rig.driver.write(rig.driver.device!.address + 8, 4, 0x21);
    expect(rig.console.written).toBe('boot!');
    expect(rig.driver.read(rig.driver.device!.address + 4, 4)).toBe(3);
  });

  test('shows the size of the first port to such a driver, and notifies it if enabled', () => {
    let notified = 0;
    const { onConfigChanged } = rig.serial;
    rig.serial.onConfigChanged = () => {
      notified++;
      onConfigChanged?.();
    };
    const resize = (columns: number) => {
      rig.console.size = { columns, rows: 43 };
      rig.console.onResized?.(rig.console.size);
    };
    const shown = () => rig.driver.read(rig.driver.device!.address, 4);
    rig.start(0n);
    resize(100);
    expect([notified, shown()]).toEqual([0, 0x2b_0064]);
    rig.start(SIZE);
    resize(132);
    rig.agent.onResized?.({ columns: 1, rows: 1 });
    expect([notified, shown()]).toEqual([1, 0x2b_0084]);
  });

  test('ignores messages about missing ports, and empty ones', () => {
    rig.open();
    for (const id of [2, 3, 31, 0xffff_ffff]) for (const event of [0, 3, 6, 99]) rig.message(id, event, 1);
    rig.send(3, new Uint8Array(3));
    rig.send(7, Buffer.from('nobody listens'));
    expect(rig.driver.status & STATUS.needsReset).toBe(0);
    expect(rig.queues[7]!.collect()).toHaveLength(1);
  });

  test('a reset of the driver closes its ports', () => {
    rig.open();
    rig.driver.status = 0;
    expect(rig.ports.map(port => port.guestOpen)).toEqual([false, false]);
    rig.open();
    expect(rig.ports.map(port => port.guestOpen)).toEqual([true, true]);
  });

  test('announces its known ports again to a driver after S3', () => {
    rig.open();
    rig.driver.status = 0;
    rig.start();
    rig.offer(2, 12);
    // Linux (virtcons_restore) says of each port that it is ready, and open, but not that it is ready itself.
    rig.message(1, EVENT.portReady, 1);
    rig.message(1, EVENT.open, 1);
    expect(rig.messages()).toEqual([`1 ${EVENT.name} 1 org.test.0`, `1 ${EVENT.open} 1`]);
    rig.agent.type('ping');
    rig.offer(4, 1);
    expect(rig.received(4).map(bytes => Buffer.from(bytes).toString())).toEqual(['ping']);
  });

  test('rejects more ports than its maximum, and anything but consoles at port 0', () => {
    const port = (isConsole: boolean) =>
      new SerialPort({ name: 'more', isConsole, portName: '', backend: new TestChar() });
    const attach = (isConsole: boolean, unit: number | null) => {
      const device = port(isConsole);
      rig.serial.bus.attach({ device, serialPort: device }, unit === null ? null : { unit, function: 0 });
    };
    expect(() => attach(false, 0)).toThrow('taken');
    expect(() => attach(false, 1)).toThrow('taken');
    attach(false, 2);
    expect(() => attach(false, null)).toThrow('max-ports');
    expect(() => attach(true, 3)).toThrow('max-ports');
  });
});
