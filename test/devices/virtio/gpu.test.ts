import { beforeEach, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { COMMAND, REG } from '../../../src/devices/pci/registers.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { DeviceStateError } from '../../../src/devices/state.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeMemory } from '../../support/fake-memory.ts';
import { pixelOf, ScreenWatcher } from '../../support/screen-watcher.ts';
import { EDID, GpuDriver, HEADER, TYPE, type Words } from './gpu-driver.ts';
import { GuestDriver, STATUS } from './guest-driver.ts';

const MiB = 2 ** 20;
const OK = 0x1100;
const ERROR = {
  unspecified: 0x1200,
  outOfMemory: 0x1201,
  scanout: 0x1202,
  resource: 0x1203,
  parameter: 0x1205,
} as const;
/** Where the guest has its picture. */
const PICTURE = 0x10_0000;

let machine: FakeMachine;
let built: BuiltDevice;
let gpu: GpuDriver;

beforeEach(() => plug());

function plug(options = {}, type = 'virtio-gpu'): void {
  machine = new FakeMachine(new FakeMemory(8 * MiB));
  const config = deviceConfig.parse({ type, ...options });
  built = deviceTable.create(machine.services, config, 'gpu0');
  const row = deviceTable.rowOf(config);
  machine.chipset.attach({ type: row, built });
  machine.pci.assign();
  built.pci!.writeConfig(REG.command, 2, COMMAND.io | COMMAND.memory | COMMAND.busMaster);
  gpu = new GpuDriver(machine, new GuestDriver(machine, built.pci!.place.slot));
}

function look(): ScreenWatcher {
  // Longer than the interval between two updates.
  machine.clock.advance(50);
  const watcher = new ScreenWatcher(built.capabilities!.screen!);
  watcher.close();
  return watcher;
}

/** Fills the guest's picture. */
function paint(width: number, height: number, color: (x: number, y: number) => number): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) machine.memory.writeU32(PICTURE + 4 * (y * width + x), color(x, y));
  }
}

/** Shows a picture of 64x32. */
function show(color: (x: number, y: number) => number = () => 0x12_3456, format = 1): void {
  paint(64, 32, color);
  expect(gpu.create(1, 64, 32, format)).toBe(OK);
  expect(gpu.attach(1, [PICTURE, 64 * 32 * 4])).toBe(OK);
  expect(gpu.transfer(1, ALL)).toBe(OK);
  expect(gpu.setScanout(1, ALL)).toBe(OK);
  expect(gpu.flush(1, ALL)).toBe(OK);
}
const ALL: Words = [0, 0, 64, 32];

describe('the display', () => {
  test('has the size that its monitor prefers', () => {
    plug({ xres: 1920, yres: 1080 });
    const info = gpu.send(TYPE.displayInfo);
    expect(info.byteLength).toBe(HEADER + 16 * 24);
    const words = Array.from({ length: 12 }, (_, at) => info.getUint32(HEADER + 4 * at, true));
    expect(words).toEqual([0, 0, 1920, 1080, 1, 0, 0, 0, 0, 0, 0, 0]);
    expect(gpu.driver.read(gpu.driver.device!.address + 8, 4)).toBe(1);
  });

  test('has an EDID unless disabled', () => {
    const response = gpu.send(TYPE.edid, [0, 0]);
    expect([response.getUint32(0, true), response.getUint32(HEADER, true)]).toEqual([0x1104, 128]);
    const edid = new Uint8Array(response.buffer, HEADER + 8, 128);
    expect([edid[0], edid[1], edid.reduce((sum, byte) => sum + byte, 0) % 256]).toEqual([0, 255, 0]);
    expect(edid[56]! | ((edid[58]! >> 4) << 8)).toBe(1280);
    expect(gpu.ask(TYPE.edid, [1, 0])).toBe(ERROR.parameter);
    expect(gpu.driver.offered & EDID).toBe(EDID);
    plug({ edid: false });
    expect(gpu.driver.offered & EDID).toBe(0n);
    expect(gpu.ask(TYPE.edid, [0, 0])).toBe(ERROR.unspecified);
  });

  test('shows only the part of a resource that is scanned out', () => {
    expect(look().frame.kind).toBe('off');
    show((x, y) => (y << 8) | x);
    expect(look().frame).toMatchObject({ kind: 'graphics', width: 64, height: 32 });
    expect(pixelOf(look().frame, 63, 31)).toBe(0x1f3f);
    expect(gpu.setScanout(1, [8, 4, 32, 16])).toBe(OK);
    expect(look().frame).toMatchObject({ kind: 'graphics', width: 32, height: 16 });
    expect(pixelOf(look().frame, 1, 2)).toBe(0x0609);
    expect(gpu.setScanout(0, [0, 0, 0, 0])).toBe(OK);
    expect(look().frame.kind).toBe('off');
    expect(gpu.setScanout(1, ALL)).toBe(OK);
    expect(gpu.ask(TYPE.unref, [1, 0])).toBe(OK);
    expect(look().frame.kind).toBe('off');
  });

  test('shows only what was flushed', () => {
    show();
    const watcher = new ScreenWatcher(built.capabilities!.screen!);
    paint(64, 32, () => 0xff_0000);
    gpu.transfer(1, ALL);
    machine.clock.advance(100);
    expect(pixelOf(watcher.frame, 10, 10)).toBe(0x12_3456);
    gpu.flush(1, [8, 8, 8, 8]);
    machine.clock.advance(100);
    expect([pixelOf(watcher.frame, 10, 10), pixelOf(watcher.frame, 20, 10)]).toEqual([0xff_0000, 0x12_3456]);
    // More parts than are kept: all of it.
    for (let x = 0; x < 64; x++) gpu.flush(1, [x, 20, 1, 1]);
    gpu.flush(1, [0, 21, 1, 1]);
    gpu.flush(1, [0, 22, 1, 1]);
    machine.clock.advance(100);
    expect(pixelOf(watcher.frame, 20, 10)).toBe(0xff_0000);
    watcher.close();
    expect(machine.statistics.get('gpu0 flushes')).toBe(68);
    expect(machine.statistics.get('gpu0 picture bytes')).toBe(2 * 64 * 32 * 4);
  });

  test.each([
    ['B8G8R8A8', 1, 0x7f11_2233, 0x11_2233],
    ['B8G8R8X8', 2, 0x0011_2233, 0x11_2233],
    ['A8R8G8B8', 3, 0x3322_117f, 0x11_2233],
    ['X8R8G8B8', 4, 0x3322_1100, 0x11_2233],
    ['R8G8B8A8', 67, 0x7f33_2211, 0x11_2233],
    ['X8B8G8R8', 68, 0x1122_3300, 0x11_2233],
    ['A8B8G8R8', 121, 0x1122_337f, 0x11_2233],
    ['R8G8B8X8', 134, 0x0033_2211, 0x11_2233],
  ])('supports pixels of %s', (_, format, word, color) => {
    show(() => word, format);
    expect(pixelOf(look().frame, 5, 5)).toBe(color);
  });
});

describe('resources', () => {
  test('are filled from memory in parts of any size', () => {
    paint(64, 32, (x, y) => (y << 8) | x);
    gpu.create(1, 64, 32);
    const bytes = 64 * 32 * 4;
    // The second part first, so that the order of the list matters, and an empty one.
    const copy = machine.memory.readable(PICTURE, bytes).slice();
    machine.memory.writable(0x20_0000, bytes - 1000).set(copy.subarray(1000));
    expect(gpu.attach(1, [PICTURE, 1000], [0, 0], [0x20_0000, bytes - 1000])).toBe(OK);
    expect(gpu.transfer(1, [3, 2, 20, 10], 4 * (2 * 64 + 3))).toBe(OK);
    gpu.setScanout(1, ALL);
    const { frame } = look();
    expect([pixelOf(frame, 3, 2), pixelOf(frame, 22, 11), pixelOf(frame, 23, 11)]).toEqual([
      0x0203, 0x0b16, 0,
    ]);
    // Pixels beyond the memory stay the same.
    expect(gpu.transfer(1, [0, 31, 64, 1], bytes - 8)).toBe(OK);
    gpu.flush(1, [0, 31, 64, 1]);
    expect([pixelOf(look().frame, 1, 31), pixelOf(look().frame, 2, 31)]).toEqual([0x1f3f, 0]);
    expect(gpu.transfer(1, ALL, 0xffff_ffff)).toBe(OK);
  });

  test('are rejected with invalid parameters', () => {
    expect(gpu.create(0, 64, 64)).toBe(ERROR.resource);
    expect(gpu.create(1, 64, 64, 5)).toBe(ERROR.parameter);
    expect(gpu.create(1, 0, 64)).toBe(ERROR.parameter);
    expect(gpu.create(1, 0xffff_ffff, 0xffff_ffff)).toBe(ERROR.parameter);
    expect(gpu.create(1, 16_384, 16_384)).toBe(ERROR.outOfMemory);
    expect(gpu.create(1, 64, 64)).toBe(OK);
    expect(gpu.create(1, 64, 64)).toBe(ERROR.resource);
    expect(gpu.transfer(1, ALL)).toBe(ERROR.resource);
    expect(gpu.attach(2, [PICTURE, 64])).toBe(ERROR.resource);
    expect(gpu.attach(1, [PICTURE, 64], [8 * MiB - 4, 8])).toBe(ERROR.unspecified);
    expect(gpu.ask(TYPE.attach, [1, 0xffff_ffff])).toBe(ERROR.unspecified);
    expect(gpu.ask(TYPE.attach, [1, 3, PICTURE, 0, 64, 0])).toBe(ERROR.unspecified);
    expect(gpu.ask(TYPE.detach, [1, 0])).toBe(ERROR.resource);
    expect(gpu.attach(1, [PICTURE, 64])).toBe(OK);
    expect(gpu.attach(1, [PICTURE, 64])).toBe(ERROR.unspecified);
    for (const rect of [
      [0, 0, 65, 1],
      [1, 0, 64, 1],
      [0, 0, 0, 1],
      [0xffff_ffff, 0, 2, 1],
      [0, 64, 1, 1],
    ] as const) {
      expect(gpu.transfer(1, rect)).toBe(ERROR.parameter);
      expect(gpu.flush(1, rect)).toBe(ERROR.parameter);
      expect(gpu.setScanout(1, rect)).toBe(ERROR.parameter);
    }
    expect(gpu.setScanout(1, [0, 0, 15, 64])).toBe(ERROR.parameter);
    expect(gpu.setScanout(9, ALL)).toBe(ERROR.resource);
    expect(gpu.ask(TYPE.setScanout, [...ALL, 1, 1])).toBe(ERROR.scanout);
    expect(gpu.ask(TYPE.capset, [0, 0])).toBe(ERROR.unspecified);
    // Commands that end too early.
    for (const type of [0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x10a])
      expect(gpu.ask(type, [1], { bytes: HEADER + 4 })).toBeGreaterThanOrEqual(ERROR.unspecified);
    expect(gpu.ask(TYPE.detach, [1, 0])).toBe(OK);
    expect(gpu.driver.status & STATUS.needsReset).toBe(0);
  });

  test('are limited in host memory', () => {
    plug({ 'max-hostmem': MiB });
    expect(gpu.create(1, 512, 512)).toBe(ERROR.outOfMemory);
    expect(gpu.create(1, 512, 256)).toBe(OK);
    expect(gpu.create(2, 512, 256)).toBe(ERROR.outOfMemory);
    expect(gpu.ask(TYPE.unref, [1, 0])).toBe(OK);
    expect(gpu.create(2, 512, 256)).toBe(OK);
    // Any number of small ones, and lists of memory, count as well.
    let made = 0;
    while (gpu.create(10 + made, 1, 1) === OK) made++;
    expect(made).toBeLessThan(1024);
    expect(gpu.attach(2, [PICTURE, 16], ...new Array(100).fill([PICTURE, 16]))).toBe(ERROR.outOfMemory);
    expect(gpu.ask(TYPE.unref, [10, 0])).toBe(OK);
  });

  test('are destroyed when the driver resets the device', () => {
    show();
    gpu.driver.status = 0;
    expect(look().frame.kind).toBe('off');
    gpu = new GpuDriver(machine, gpu.driver);
    expect(gpu.create(1, 64, 32)).toBe(OK);
  });
});

test('responses carry the fence of their command', () => {
  const response = gpu.send(TYPE.create, [1, 1, 8, 8], { fence: 77 });
  expect(response.byteLength).toBe(HEADER);
  expect([response.getUint32(4, true), response.getBigUint64(8, true)]).toEqual([1, 77n]);
  expect(gpu.send(TYPE.flush, [], { fence: 78 }).getBigUint64(8, true)).toBe(78n);
  expect(gpu.send(TYPE.displayInfo).getUint32(4, true)).toBe(0);
});

test('a command without a header breaks the device until its driver resets it', () => {
  expect(gpu.ask(TYPE.displayInfo, [], { bytes: HEADER - 1 })).toBe(0);
  expect(gpu.driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
  expect(machine.broken.at(-1)).toMatch(/made a command of 23 bytes/);
});

describe('the cursor', () => {
  /** A picture of 64x64 with the ID 2, half transparent white. */
  function makeCursor(): void {
    paint(64, 64, () => 0x8080_8080);
    gpu.create(2, 64, 64);
    gpu.attach(2, [PICTURE, 64 * 64 * 4]);
    gpu.transfer(2, [0, 0, 64, 64]);
  }

  test('is drawn over the picture at its position', () => {
    show(() => 0x00_0040);
    makeCursor();
    const watcher = new ScreenWatcher(built.capabilities!.screen!);
    const colors = (...xs: number[]) => {
      machine.clock.advance(100);
      return xs.map(x => pixelOf(watcher.frame, x, 10));
    };
    expect(gpu.updateCursor(2, 40, 0)).toBe(OK);
    expect(colors(39, 40, 63)).toEqual([0x40, 0x80_80a0, 0x80_80a0]);
    expect(gpu.moveCursor(-60, -50)).toBe(OK);
    expect(colors(3, 4, 40)).toEqual([0x80_80a0, 0x40, 0x40]);
    expect(gpu.moveCursor(0x7fff_ffff, 0x7fff_ffff)).toBe(OK);
    expect(colors(3)).toEqual([0x40]);
    // The picture is unchanged.
    gpu.ask(TYPE.unref, [2, 0]);
    gpu.moveCursor(0, 0);
    expect(colors(3)).toEqual([0x80_80a0]);
    expect(gpu.updateCursor(0, 0, 0)).toBe(OK);
    expect(colors(3)).toEqual([0x40]);
    watcher.close();
  });

  test('has 64x64 pixels', () => {
    gpu.create(3, 32, 32);
    expect(gpu.updateCursor(3, 0, 0)).toBe(ERROR.resource);
    expect(gpu.updateCursor(9, 0, 0)).toBe(ERROR.resource);
    expect(gpu.ask(TYPE.moveCursor, [1, 0, 0, 0, 0, 0, 0, 0], { queue: gpu.cursor })).toBe(ERROR.scanout);
    expect(gpu.ask(TYPE.create, [4, 1, 8, 8], { queue: gpu.cursor })).toBe(ERROR.unspecified);
  });
});

describe('a state', () => {
  function save() {
    built.device.quiesce!(() => {});
    return structuredClone(built.device.save());
  }

  test('contains the resources, except data that is in guest memory', () => {
    show((x, y) => (y << 8) | x);
    const whole = save();
    const pixels = (state: typeof whole) =>
      ((state.device as typeof whole).resources as (typeof whole)[])[0]!.pixels as Uint8Array;
    expect(pixels(whole)).toHaveLength(0);
    built.device.resume!();
    machine.memory.writeU32(PICTURE + 4 * (5 * 64 + 3), 0xffff_ffff);
    const state = save();
    expect(pixels(state)).toHaveLength(4 * 64);
    built.device.reset();
    machine.pci.reset();
    expect(look().frame.kind).toBe('off');
    built.device.load(state);
    expect(pixelOf(look().frame, 3, 5)).toBe(0x0503);
    expect(pixelOf(look().frame, 63, 31)).toBe(0x1f3f);
    expect(save()).toEqual(state);
  });

  test("is rejected if it exceeds the device's limits", () => {
    show();
    const state = save();
    const inside = state.device as typeof state;
    const [picture] = inside.resources as [typeof state];
    const load = (change: object) => () =>
      built.device.load({ ...state, device: { ...inside, ...change } as typeof state });
    expect(load({ resources: [picture, picture] })).toThrow(DeviceStateError);
    expect(load({ resources: [{ ...picture, width: 16_384, height: 16_384 }] })).toThrow(DeviceStateError);
    expect(load({ resources: [{ ...picture, lines: new Uint8Array(3) }] })).toThrow(DeviceStateError);
    expect(load({ resources: [] })).toThrow(DeviceStateError);
    expect(load({ scanout: { id: 1, x: 1, y: 0, width: 64, height: 32 } })).toThrow(DeviceStateError);
    expect(load({})).not.toThrow();
  });
});

describe('virtio-vga', () => {
  const dispi = (index: number, value: number) => {
    machine.ports.write(0x1ce, 2, index);
    machine.ports.write(0x1cf, 2, value);
  };

  beforeEach(() => plug({ vgamem: 1 }, 'virtio-vga'));

  test('is a VGA until its driver sets a scanout, and after a reset', () => {
    const fn = built.pci!;
    expect([fn.config.u32(0), fn.config.u32(REG.revision)]).toEqual([0x1050_1af4, 0x0300_0001]);
    expect(look().frame.kind).toBe('text');
    for (const [index, value] of [
      [1, 320],
      [2, 200],
      [3, 32],
      [4, 0x41],
    ] as const)
      dispi(index, value);
    expect(look().frame).toMatchObject({ kind: 'graphics', width: 320, height: 200 });
    show();
    expect(look().frame).toMatchObject({ kind: 'graphics', width: 64, height: 32 });
    gpu.setScanout(0, [0, 0, 0, 0]);
    expect(look().frame.kind).toBe('off');
    gpu.driver.status = 0;
    expect(look().frame).toMatchObject({ kind: 'graphics', width: 320, height: 200 });
  });

  test("has the registers of QEMU's VGA in front of those of virtio", () => {
    const registers = built.pci!.bars.find(({ index }) => index === 2)!.address!;
    expect(machine.memoryBus.read(registers + 0x500, 2)).toBe(0xb0c5);
    expect(machine.memoryBus.read(registers, 4)).toBe(0xffff_ff00);
    machine.memoryBus.write(registers + 0x502, 2, 640);
    expect(machine.memoryBus.read(registers + 0x502, 2)).toBe(640);
    expect(gpu.driver.common.address).toBe(registers + 0x1000);
  });
});

describe('a monitor that changes', () => {
  const resize = (width: number, height: number) => built.capabilities!.screen!.resize!({ width, height });
  const events = () => gpu.driver.read(gpu.driver.device!.address, 4);
  const preferred = () => {
    const info = gpu.send(TYPE.displayInfo);
    return [info.getUint32(HEADER + 8, true), info.getUint32(HEADER + 12, true)];
  };
  /** Of the detailed timing in its EDID. */
  const described = () => {
    const edid = gpu.send(TYPE.edid, [0, 0]);
    const at = HEADER + 8 + 54;
    return [
      edid.getUint8(at + 2) | ((edid.getUint8(at + 4) & 0xf0) << 4),
      edid.getUint8(at + 5) | ((edid.getUint8(at + 7) & 0xf0) << 4),
    ];
  };

  test('raises an event for its driver, which reads the size again', () => {
    expect([events(), preferred()]).toEqual([0, [1280, 800]]);
    expect(resize(1024, 768)).toBe('notified');
    expect(events()).toBe(1);
    expect([preferred(), described()]).toEqual([
      [1024, 768],
      [1024, 768],
    ]);
    gpu.driver.write(gpu.driver.device!.address + 4, 4, 1);
    expect(events()).toBe(0);
    // The same size again: no notification.
    expect([resize(1024, 768), events()]).toEqual(['notified', 0]);
  });

  test('is limited by the memory for its picture', () => {
    plug({ 'max-hostmem': 2 * MiB });
    expect(resize(8192, 8192)).toBe('memory');
    expect([events(), preferred()]).toEqual([0, [1280, 800]]);
    expect(resize(64, 8192)).toBe('notified');
  });

  test('stays the same when its driver restarts, and in a saved state', () => {
    resize(800, 600);
    built.device.quiesce!(() => {});
    const state = structuredClone(built.device.save());
    built.device.reset();
    built.device.resume!();
    machine.pci.assign();
    built.pci!.writeConfig(REG.command, 2, COMMAND.io | COMMAND.memory | COMMAND.busMaster);
    gpu = new GpuDriver(machine, new GuestDriver(machine, built.pci!.place.slot));
    expect([events(), preferred()]).toEqual([0, [800, 600]]);
    plug();
    built.device.quiesce!(() => {});
    built.device.load(state);
    expect((built.device.save().device as typeof state).monitor).toEqual({ width: 800, height: 600 });
    const inside = state.device as typeof state;
    for (const monitor of [
      { width: 63, height: 600 },
      { width: 800, height: 8193 },
      { width: -1, height: 600 },
    ]) {
      const wrong = { ...state, device: { ...inside, monitor } };
      expect(() => built.device.load(wrong)).toThrow(DeviceStateError);
    }
    const { monitor, events: _, ...earlier } = inside;
    expect(monitor).toBeDefined();
    expect(() => built.device.load({ ...state, device: earlier })).not.toThrow();
  });
});
