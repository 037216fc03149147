import { describe, expect, test } from 'vitest';
import type { DeviceState } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { BUTTON } from '../../../src/devices/input/input-event.ts';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { DeviceStateError } from '../../../src/devices/state.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, GuestDriver, PACKED, RING_RESET, STATUS, VERSION_1 } from './guest-driver.ts';

type InputType = 'virtio-keyboard' | 'virtio-mouse' | 'virtio-tablet';

/** Where the driver's buffers are. */
const BUFFERS = 0x8_0000;
const EVENT_BYTES = 8;

const SELECT = { name: 1, serial: 2, ids: 3, properties: 0x10, events: 0x11, axis: 0x12 } as const;
const SYN = [0, 0, 0] as const;
const LED = 0x11;

/** A device and its driver. */
class Rig {
  readonly machine = new FakeMachine();
  readonly built;
  readonly driver: GuestDriver;
  events!: ReturnType<GuestDriver['queue']>;
  status!: ReturnType<GuestDriver['queue']>;
  #buffers = 0;

  constructor(type: InputType, options: Readonly<Record<string, unknown>> = {}) {
    const config = deviceConfig.parse({ type, ...options });
    this.built = deviceTable.create(this.machine.services, config, 'input0');
    this.machine.pci.plug(this.built.pci!);
    this.machine.pci.assign();
    this.driver = new GuestDriver(this.machine, 1);
  }

  get keyboard() {
    return this.built.capabilities!.keyboard!;
  }

  get pointer() {
    return this.built.capabilities!.pointer!;
  }

  /** Up to DRIVER_OK. @param size of the event queue */
  start(size = 16): this {
    this.machine.memory.writable(0x1000, 0x2000).fill(0);
    this.driver.negotiate(VERSION_1 | (RING_RESET & this.driver.offered));
    this.events = this.driver.queue(0, size, 0x1000);
    this.status = this.driver.queue(1, 16, 0x2000);
    this.events.enable();
    this.status.enable();
    this.driver.driverOk();
    this.machine.eventFds.settle();
    return this;
  }

  /** Offers buffers for events. */
  offer(count: number, length = EVENT_BYTES, write = true): this {
    for (let i = 0; i < count; i++)
      this.events.add({ address: BUFFERS + 0x10 * this.#buffers++, length, write });
    this.events.kick();
    this.machine.eventFds.settle();
    return this;
  }

  /** The events in the buffers that the device has returned: type, code, value. */
  received(): number[][] {
    const { memory } = this.machine;
    return this.events.collect().map(({ head, written }) => {
      expect(written).toBe(EVENT_BYTES);
      const at = Number(memory.readU64(this.events.descriptors + 16 * head));
      return [memory.readU16(at), memory.readU16(at + 2), memory.readU32(at + 4) | 0];
    });
  }

  /** The driver sends an event, or the first bytes of one. */
  send(type: number, code: number, value: number, length = EVENT_BYTES): void {
    const { memory } = this.machine;
    const address = BUFFERS + 0x10 * this.#buffers++;
    memory.writeU16(address, type);
    memory.writeU16(address + 2, code);
    memory.writeU32(address + 4, value);
    this.status.add({ address, length });
    this.status.kick();
    this.machine.eventFds.settle();
  }

  /** The config space of an item. */
  item(select: number, subselect = 0): number[] {
    const { driver } = this;
    const at = driver.device!.address;
    driver.write(at, 1, select);
    driver.write(at + 1, 1, subselect);
    return Array.from({ length: driver.read(at + 2, 1) }, (_, index) => driver.read(at + 8 + index, 1));
  }

  text(select: number): string {
    return String.fromCharCode(...this.item(select));
  }

  /** The codes of a type of events. */
  codes(type: number): number[] {
    return this.item(SELECT.events, type).flatMap((byte, at) =>
      [0, 1, 2, 3, 4, 5, 6, 7].filter(bit => byte & (1 << bit)).map(bit => 8 * at + bit),
    );
  }

  quiesce(): this {
    let stopped = false;
    this.built.device.quiesce!(() => {
      stopped = true;
    });
    expect(stopped).toBe(true);
    return this;
  }
}

/** A device that replaces another one, with its state. */
function continued(rig: Rig, change: DeviceState = {}): Rig {
  const { device } = rig.quiesce().built;
  const saved = structuredClone(device.save());
  const state = { ...saved, device: { ...(saved.device as DeviceState), ...change } };
  device.reset();
  device.load(state);
  expect(device.save()).toEqual(state);
  device.resume!();
  rig.machine.eventFds.settle();
  return rig;
}

describe('the config space', () => {
  test('describes a keyboard', () => {
    const rig = new Rig('virtio-keyboard', { serial: 'desk 1' });
    expect(rig.driver.read(rig.driver.config + 2, 2)).toBe(0x1040 + 18);
    expect(rig.driver.read(rig.driver.config + 8, 4) >>> 8).toBe(0x090000);
    expect(rig.driver.device!.size).toBe(136);
    expect(rig.text(SELECT.name)).toBe('vring virtio keyboard');
    expect(rig.text(SELECT.serial)).toBe('desk 1');
    expect(rig.item(SELECT.ids)).toEqual([6, 0, 0x27, 6, 1, 0, 1, 0]);
    expect(rig.item(SELECT.properties)).toEqual([]);
    expect(rig.codes(1)).toEqual(Object.values(KEY).sort((a, b) => a - b));
    expect(rig.codes(LED)).toEqual([0, 1, 2]);
    // It is there, so that the guest repeats keys.
    expect(rig.item(SELECT.events, 0x14)).toEqual([0]);
    for (const type of [0, 2, 3, 4]) expect(rig.item(SELECT.events, type)).toEqual([]);
    expect(rig.item(SELECT.axis, 0)).toEqual([]);
  });

  test('describes pointers', () => {
    const mouse = new Rig('virtio-mouse');
    expect(mouse.driver.read(mouse.driver.config + 8, 4) >>> 8).toBe(0x090200);
    expect(mouse.text(SELECT.serial)).toBe('');
    expect(mouse.codes(1)).toEqual([0x110, 0x111, 0x112, 0x113, 0x114]);
    expect(mouse.codes(2)).toEqual([0, 1, 8]);
    expect(mouse.codes(3)).toEqual([]);
    const tablet = new Rig('virtio-tablet');
    expect(tablet.codes(2)).toEqual([8]);
    expect(tablet.codes(3)).toEqual([0, 1]);
    const limits = [...[0, 0, 0, 0], ...[0xff, 0x7f, 0, 0], ...new Array(12).fill(0)];
    expect(tablet.item(SELECT.axis, 0)).toEqual(limits);
    expect(tablet.item(SELECT.axis, 1)).toEqual(limits);
    expect(tablet.item(SELECT.axis, 2)).toEqual([]);
  });

  test('keeps only the selection, until a reset', () => {
    const { driver } = new Rig('virtio-keyboard');
    const at = driver.device!.address;
    driver.write(at, 4, 0xffff_0011);
    expect(driver.read(at, 4)).toBe(0x0000_0011);
    driver.write(at, 2, 0x0111);
    driver.write(at + 8, 4, 0xffff_ffff);
    expect(driver.read(at, 4)).toBe(0x12_0111);
    expect(driver.read(at + 8, 1)).toBe(0xfe);
    expect(driver.read(at + 132, 4)).toBe(0);
    driver.status = 0;
    expect(driver.read(at, 4)).toBe(0);
  });
});

describe('a keyboard', () => {
  test('is in use from DRIVER_OK to a reset', () => {
    const rig = new Rig('virtio-keyboard');
    let changes = 0;
    rig.keyboard.onChanged(() => changes++);
    expect(rig.keyboard.key(KEY.a, true)).toBe(true);
    expect([rig.keyboard.active, changes]).toEqual([false, 0]);
    rig.start().offer(4);
    // Earlier key presses are not sent.
    expect(rig.received()).toEqual([]);
    expect([rig.keyboard.active, changes]).toEqual([true, 1]);
    rig.driver.status = 0;
    expect([rig.keyboard.active, changes]).toEqual([false, 2]);
  });

  test('sends each press and release with a SYN_REPORT', () => {
    const rig = new Rig('virtio-keyboard').start().offer(8);
    for (const [code, down] of [
      [KEY.leftshift, true],
      [KEY.leftshift, true],
      [KEY.wakeup, true],
      [KEY.wakeup, false],
      [KEY.a, false],
      [0x2ff, true],
      [BUTTON.left, true],
    ] as const)
      expect(rig.keyboard.key(code, down)).toBe(true);
    expect(rig.received()).toEqual([[1, 42, 1], SYN, [1, 143, 1], SYN, [1, 143, 0], SYN]);
  });

  test('sends an event and its SYN_REPORT together, once there are buffers for both', () => {
    const rig = new Rig('virtio-keyboard').start().offer(3);
    rig.keyboard.key(KEY.a, true);
    rig.keyboard.key(KEY.a, false);
    expect(rig.received()).toEqual([[1, 30, 1], SYN]);
    rig.offer(1);
    expect(rig.received()).toEqual([[1, 30, 0], SYN]);
  });

  test('refuses keys that exceed its buffer', () => {
    const rig = new Rig('virtio-keyboard').start();
    const press = (count: number) => rig.keyboard.key(KEY.a, count % 2 === 0);
    let taken = 0;
    while (press(taken)) taken++;
    expect(taken).toBe(32);
    rig.offer(2);
    expect(press(taken)).toBe(true);
  });

  test('shows the LEDs that the driver sets', () => {
    const rig = new Rig('virtio-keyboard').start();
    let changes = 0;
    rig.keyboard.onChanged(() => changes++);
    rig.send(LED, 1, 1);
    rig.send(LED, 0, 1);
    rig.send(LED, 0, 1);
    rig.send(LED, 3, 1);
    rig.send(1, 30, 1);
    rig.send(0, 0, 0);
    expect(rig.status.collect()).toHaveLength(6);
    expect(rig.keyboard.leds).toEqual({ numLock: true, capsLock: true, scrollLock: false });
    expect(rig.built.facts).toEqual([{ label: 'lit LEDs', value: 'Num Lock, Caps Lock' }]);
    rig.send(LED, 1, 0);
    expect([rig.keyboard.leds.capsLock, changes]).toEqual([false, 3]);
    rig.driver.status = 0;
    expect(rig.keyboard.leds.numLock).toBe(false);
  });

  test('continues with the next event queue after a queue reset', () => {
    const rig = new Rig('virtio-keyboard').start().offer(1);
    rig.keyboard.key(KEY.a, true);
    rig.driver.set16(COMMON.queueSelect, 0);
    rig.driver.set16(COMMON.queueReset, 1);
    rig.machine.memory.writable(0x1000, 0x1000).fill(0);
    rig.events = rig.driver.queue(0, 16, 0x1000);
    rig.events.enable();
    rig.offer(2);
    expect(rig.received()).toEqual([[1, 30, 1], SYN]);
  });
});

describe('pointers', () => {
  test('a mouse sends motion and the wheel, away from the user', () => {
    const rig = new Rig('virtio-mouse').start().offer(8);
    expect(rig.pointer.absolute).toBe(false);
    rig.pointer.point({ kind: 'motion', dx: 5, dy: -3 });
    rig.pointer.point({ kind: 'motion', dx: 0, dy: 0 });
    rig.pointer.point({ kind: 'position', x: 1, y: 1 });
    rig.pointer.point({ kind: 'wheel', dy: 1 });
    rig.pointer.point({ kind: 'motion', dx: 0, dy: 2 });
    expect(rig.received()).toEqual([[2, 0, 5], [2, 1, -3], SYN, [2, 8, -1], SYN, [2, 1, 2], SYN]);
  });

  test('a tablet sends the position of the pointer', () => {
    const rig = new Rig('virtio-tablet').start().offer(5);
    expect(rig.pointer.absolute).toBe(true);
    rig.pointer.point({ kind: 'motion', dx: 5, dy: 5 });
    rig.pointer.point({ kind: 'position', x: 0x1234, y: 0x7fff });
    rig.pointer.point({ kind: 'button', code: BUTTON.extra, down: true });
    expect(rig.received()).toEqual([[3, 0, 0x1234], [3, 1, 0x7fff], SYN, [1, 0x114, 1], SYN]);
  });

  test('motion accumulates while the guest reads none, between buttons', () => {
    const rig = new Rig('virtio-mouse').start().offer(3);
    // Not enough buffers for all events, so none is sent.
    rig.pointer.point({ kind: 'motion', dx: 5, dy: 6 });
    expect(rig.received()).toHaveLength(3);
    rig.pointer.point({ kind: 'motion', dx: 30_000, dy: 1 });
    rig.pointer.point({ kind: 'motion', dx: 30_000, dy: -5 });
    rig.pointer.point({ kind: 'wheel', dy: -2 });
    rig.pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    rig.pointer.point({ kind: 'motion', dx: 1, dy: 0 });
    rig.offer(3);
    expect(rig.received()).toEqual([]);
    rig.offer(1);
    expect(rig.received()).toEqual([[2, 0, 0x7fff], [2, 1, -4], [2, 8, 2], SYN]);
    rig.offer(4);
    expect(rig.received()).toEqual([[1, 0x110, 1], SYN, [2, 0, 1], SYN]);
  });

  test('a tablet keeps only the last position, and pending events are limited', () => {
    const rig = new Rig('virtio-tablet').start();
    let taken = 0;
    while (rig.pointer.point({ kind: 'button', code: BUTTON.right, down: taken % 2 === 0 })) {
      taken++;
      for (let x = 0; x < 10; x++) rig.pointer.point({ kind: 'position', x, y: taken });
    }
    expect(taken).toBe(16);
    for (let x = 0; x < 100; x++) rig.pointer.point({ kind: 'position', x, y: 5 });
    rig.offer(5);
    expect(rig.received()).toEqual([[1, 0x111, 1], SYN, [3, 0, 9], [3, 1, 1], SYN]);
    expect(continued(rig).pointer.active).toBe(true);
    expect(rig.offer(2).received()).toEqual([[1, 0x111, 0], SYN]);
  });

  test('an update that does not fit in the queue is dropped entirely', () => {
    const rig = new Rig('virtio-mouse').start(2).offer(2);
    rig.pointer.point({ kind: 'motion', dx: 5, dy: 6 });
    rig.pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    expect(rig.received()).toEqual([[1, 0x110, 1], SYN]);
  });
});

describe('a saved device', () => {
  test('continues with unsent events, in a buffer that it had taken, and releases held keys', () => {
    const rig = new Rig('virtio-keyboard').start().offer(3);
    rig.keyboard.key(KEY.leftalt, true);
    rig.keyboard.key(KEY.f4, true);
    rig.send(LED, 0, 1);
    expect(rig.received()).toEqual([[1, 56, 1], SYN]);
    continued(rig);
    expect([rig.keyboard.active, rig.keyboard.leds.numLock]).toEqual([true, true]);
    rig.offer(5);
    expect(rig.received()).toEqual([[1, 62, 1], SYN, [1, 56, 0], SYN, [1, 62, 0], SYN]);
  });

  test('releases buttons, too', () => {
    const rig = new Rig('virtio-mouse').start().offer(2);
    rig.pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    continued(rig).offer(2);
    expect(rig.received()).toEqual([[1, 0x110, 1], SYN, [1, 0x110, 0], SYN]);
  });

  test('that was only paused keeps held keys', () => {
    const rig = new Rig('virtio-keyboard').start().offer(8);
    rig.keyboard.key(KEY.a, true);
    rig.quiesce();
    rig.keyboard.key(KEY.b, true);
    rig.built.device.resume!();
    rig.machine.eventFds.settle();
    expect(rig.received()).toEqual([[1, 30, 1], SYN, [1, 48, 1], SYN]);
  });

  test('releases more keys than fit at once', () => {
    const codes = Object.values(KEY);
    const rig = continued(new Rig('virtio-keyboard').start(), { held: codes });
    const released = Array.from({ length: 20 }, () => rig.offer(16).received()).flat();
    expect(released).toEqual(codes.flatMap(code => [[1, code, 0], SYN]));
  });

  const event = (type: number, code: number, value: number) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint16(0, type, true);
    view.setUint16(2, code, true);
    view.setInt32(4, value, true);
    return [...new Uint8Array(view.buffer)];
  };
  test.each([
    ['an LED that it lacks', { leds: 8 }],
    ['keys that it lacks', { held: [0x110] }],
    ['a key that is held twice', { held: [30, 30] }],
    ['no list of keys', { held: 30 }],
    ['an event that it lacks', { pending: Uint8Array.from([...event(2, 0, 1), ...event(0, 0, 0)]) }],
    ['a value that is none', { pending: Uint8Array.from([...event(1, 30, 2), ...event(0, 0, 0)]) }],
    ['an update without an end', { pending: Uint8Array.from(event(1, 30, 1)) }],
    ['an end of nothing', { pending: Uint8Array.from(event(0, 0, 0)) }],
    ['a part of an event', { pending: new Uint8Array(7) }],
    [
      'a long update',
      {
        pending: Uint8Array.from([...[30, 31, 32, 33].flatMap(code => event(1, code, 1)), ...event(0, 0, 0)]),
      },
    ],
    [
      'too many updates',
      { pending: Uint8Array.from(new Array(34).fill([...event(1, 30, 1), ...event(0, 0, 0)]).flat()) },
    ],
    ['a selection that is none', { config: { select: 256, subselect: 0 } }],
  ])('with %s is rejected', (_what, change) => {
    const rig = new Rig('virtio-keyboard').start();
    expect(() => continued(rig, change)).toThrow(DeviceStateError);
  });
});

describe('a driver that violates the specification breaks the device', () => {
  test.each([
    ['a short buffer', (rig: Rig) => rig.offer(1, 7), 'put a buffer of 7 bytes into the event queue'],
    [
      'a read-only buffer',
      (rig: Rig) => rig.offer(1, 8, false),
      'put a buffer of 0 bytes into the event queue',
    ],
    ['a short status', (rig: Rig) => rig.send(LED, 0, 1, 4), 'put 4 bytes into the status queue'],
    [
      'a buffer that is not memory',
      ({ events, machine }: Rig) => {
        events.add({ address: 0x10_0000 - 4, length: 8, write: true });
        events.kick();
        machine.eventFds.settle();
      },
      'put a buffer of 8 bytes at 0xffffc, which is not all writable memory',
    ],
    [
      'a loop',
      ({ events, machine }: Rig) => {
        events.describe(0, BUFFERS, 1, 2 | 1, 0);
        events.expose(0);
        events.kick();
        machine.eventFds.settle();
      },
      'made a loop of descriptors, starting at 0',
    ],
  ] as const)('%s', (_what, act, problem) => {
    const rig = new Rig('virtio-keyboard').start();
    rig.keyboard.key(KEY.a, true);
    expect(rig.keyboard.active).toBe(true);
    act(rig);
    expect(rig.machine.broken).toEqual([expect.stringContaining(`input0: the driver ${problem}`)]);
    expect(rig.driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    // Another keyboard gets the keys.
    expect(rig.keyboard.active).toBe(false);
    expect(rig.keyboard.key(KEY.b, true)).toBe(true);
    rig.start().offer(2);
    rig.keyboard.key(KEY.b, true);
    expect(rig.received()).toEqual([[1, 48, 1], SYN]);
  });

  test('no buffer is taken from a queue before there is data for it', () => {
    const rig = new Rig('virtio-keyboard').start();
    rig.offer(1, 7);
    expect(rig.machine.broken).toEqual([]);
    rig.keyboard.key(KEY.a, true);
    expect(rig.machine.broken).toHaveLength(1);
  });
});

test('a packed ring behaves the same', () => {
  const rig = new Rig('virtio-mouse', { packed: true });
  const { driver, machine } = rig;
  expect(driver.offered & PACKED).toBe(PACKED);
  driver.negotiate(VERSION_1 | PACKED);
  driver.set16(COMMON.queueSelect, 0);
  driver.set16(COMMON.queueSize, 4);
  driver.set64(COMMON.descriptors, 0x1000);
  driver.set64(COMMON.available, 0x2000);
  driver.set64(COMMON.used, 0x2004);
  driver.set16(COMMON.queueEnable, 1);
  driver.driverOk();
  for (let id = 0; id < 3; id++) {
    machine.memory.writeU64(0x1000 + 16 * id, BigInt(BUFFERS + 16 * id));
    machine.memory.writeU32(0x1000 + 16 * id + 8, 8);
    machine.memory.writeU16(0x1000 + 16 * id + 12, id);
    machine.memory.writeU16(0x1000 + 16 * id + 14, 0x80 | 2);
  }
  rig.pointer.point({ kind: 'motion', dx: 7, dy: -8 });
  machine.eventFds.settle();
  const flags = [0, 1, 2, 3].map(index => machine.memory.readU16(0x1000 + 16 * index + 14) & 0x8080);
  expect(flags).toEqual([0x8080, 0x8080, 0x8080, 0]);
  const values = [0, 1, 2].map(index => machine.memory.readU32(BUFFERS + 16 * index + 4) | 0);
  expect(values).toEqual([7, -8, 0]);
});
