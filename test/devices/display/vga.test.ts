import { describe, expect, test } from 'vitest';
import type { ScreenFrame } from '../../../src/devices/display/screen-frame.ts';
import { vga } from '../../../src/devices/display/vga/row.ts';
import { Vga } from '../../../src/devices/display/vga/vga.ts';
import type { MachineServices } from '../../../src/devices/machine-services.ts';
import type { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { COMMAND, REG } from '../../../src/devices/pci/registers.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { VGA_COLORS } from '../../support/fake-screen.ts';
import { Random } from '../../support/random.ts';
import { pixelOf, ScreenWatcher } from '../../support/screen-watcher.ts';

const MiB = 2 ** 20;
const WINDOW = 0xa_0000;

/** A VGA in a machine without KVM, as a driver sees it. */
class Rig {
  readonly machine = new FakeMachine();
  readonly vga: Vga;
  readonly fn: PciFunction;

  constructor(firmware: MachineServices['firmware'] = null) {
    const services = { ...this.machine.services, firmware };
    this.vga = new Vga(
      { name: 'vga0', memoryBytes: 4 * MiB, monitor: { width: 1280, height: 800 } },
      services,
    );
    this.fn = this.vga.function;
    const built = {
      device: this.vga,
      pci: this.fn,
      ports: this.vga.core.ports,
      memory: [this.vga.core.window],
    };
    this.machine.chipset.attach({ type: vga, built });
    this.machine.pci.assign();
    this.fn.writeConfig(REG.command, 2, COMMAND.io | COMMAND.memory);
  }

  out(port: number, value: number, size: 1 | 2 = 1): void {
    this.machine.ports.write(port, size, value);
  }

  in(port: number, size: 1 | 2 = 1): number {
    return this.machine.ports.read(port, size);
  }

  /** An index and a value at once. */
  set(port: number, index: number, value: number): void {
    this.out(port, index | (value << 8), 2);
  }

  dispi(index: number, value: number): void {
    this.out(0x1ce, index, 2);
    this.out(0x1cf, value, 2);
  }

  write(offset: number, value: number): void {
    this.machine.memoryBus.write(WINDOW + offset, 1, value);
  }

  read(offset: number): number {
    return this.machine.memoryBus.read(WINDOW + offset, 1);
  }

  /** A byte of a plane. */
  plane(plane: number, offset: number): number {
    return this.machine.memoryBus.read(this.fn.bars[0]!.address! + 4 * offset + plane, 1);
  }

  planes(offset: number): number[] {
    return [0, 1, 2, 3].map(plane => this.plane(plane, offset));
  }

  /** 640x480 in 16 colors, as far as it affects memory, and all planes. */
  planar(): void {
    this.out(0x3c2, 0x63);
    this.set(0x3ce, 6, 0x05);
    this.set(0x3ce, 5, 0x00);
    this.set(0x3c4, 4, 0x06);
    this.set(0x3c4, 2, 0x0f);
    this.set(0x3ce, 8, 0xff);
  }

  look(): ScreenWatcher {
    // Longer than the interval between two updates.
    this.machine.clock.advance(50);
    const watcher = new ScreenWatcher(this.vga.screen);
    watcher.close();
    return watcher;
  }
}

test("has the registers of QEMU's VGA, and an EDID", () => {
  const { fn, machine } = new Rig();
  expect(fn.config.u32(0)).toBe(0x1111_1234);
  expect(fn.config.u32(REG.revision)).toBe(0x0300_0002);
  const registers = fn.bars[1]!.address!;
  const edid = Uint8Array.from({ length: 128 }, (_, at) => machine.memoryBus.read(registers + at, 1));
  expect([...edid.subarray(0, 8)]).toEqual([0, 255, 255, 255, 255, 255, 255, 0]);
  expect(edid.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
  // The preferred mode.
  expect([edid[56]! | ((edid[58]! >> 4) << 8), edid[59]! | ((edid[61]! >> 4) << 8)]).toEqual([1280, 800]);
  // The registers of the display interface, and the size of the extended ones.
  expect(machine.memoryBus.read(registers + 0x500, 2)).toBe(0xb0c5);
  expect(machine.memoryBus.read(registers + 0x514, 2)).toBe(64);
  expect([0x600, 0x604].map(at => machine.memoryBus.read(registers + at, 4))).toEqual([8, 0x1e1e_1e1e]);
});

test('responds only while it decodes ports and memory', () => {
  const rig = new Rig();
  rig.set(0x3c4, 2, 0x0a);
  expect(rig.in(0x3c5)).toBe(0x0a);
  rig.fn.writeConfig(REG.command, 2, 0);
  expect([rig.in(0x3c5), rig.in(0x1cf, 2), rig.read(0)]).toEqual([0xff, 0xffff, 0xff]);
});

describe('the registers', () => {
  test('of the attribute controller alternate between index and value', () => {
    const rig = new Rig({ kind: 'bios', bootsFrom: [] });
    rig.in(0x3da);
    rig.out(0x3c0, 0x10);
    rig.out(0x3c0, 0xff);
    rig.out(0x3c0, 0x05);
    // What comes next is a value again.
    expect([rig.in(0x3c1), rig.in(0x3c0)]).toEqual([0, 0]);
    rig.out(0x3c0, 0x2a);
    expect(rig.in(0x3c1)).toBe(0x2a);
    rig.out(0x3c0, 0x10);
    // Bit 4 does not exist.
    expect(rig.in(0x3c1)).toBe(0xef);
  });

  test('of the DAC take a color as three writes, and increment the index', () => {
    const rig = new Rig();
    rig.out(0x3c8, 255);
    for (const part of [1, 2, 3, 4, 5, 6]) rig.out(0x3c9, part);
    expect(rig.in(0x3c8)).toBe(1);
    rig.out(0x3c7, 255);
    expect([1, 2, 3, 4, 5, 6].map(() => rig.in(0x3c9))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rig.in(0x3c7)).toBe(3);
  });

  test('0 to 7 of the CRTC can be protected, except for a line compare bit', () => {
    const rig = new Rig();
    rig.set(0x3d4, 0x11, 0);
    rig.set(0x3d4, 0x07, 0x2f);
    rig.set(0x3d4, 0x11, 0x80);
    rig.set(0x3d4, 0x07, 0x50);
    rig.set(0x3d4, 0x01, 0x12);
    rig.out(0x3d4, 7);
    expect(rig.in(0x3d5)).toBe(0x3f);
    rig.out(0x3d4, 1);
    expect(rig.in(0x3d5)).toBe(0x4f);
  });

  test('of the CRTC are at 0x3b4 on a monochrome adapter', () => {
    const rig = new Rig();
    rig.out(0x3c2, 0x66);
    rig.set(0x3b4, 0x0e, 0x12);
    expect([rig.in(0x3b5), rig.in(0x3d5)]).toEqual([0x12, 0xff]);
  });

  test('of the status report a moving beam', () => {
    const rig = new Rig();
    const [first, second] = [rig.in(0x3da), rig.in(0x3da)];
    expect(first ^ second).toBe(0x09);
  });
});

describe('planar memory', () => {
  test('write mode 0 rotates, sets and resets, combines with the latches and masks', () => {
    const rig = new Rig({ kind: 'bios', bootsFrom: [] });
    rig.planar();
    rig.set(0x3c4, 2, 0x05);
    rig.write(0, 0x81);
    expect(rig.planes(0)).toEqual([0x81, 0, 0x81, 0]);
    rig.set(0x3c4, 2, 0x0f);
    rig.set(0x3ce, 3, 0x01);
    rig.write(1, 0x81);
    expect(rig.planes(1)).toEqual([0xc0, 0xc0, 0xc0, 0xc0]);
    rig.set(0x3ce, 3, 0);
    rig.set(0x3ce, 1, 0x03);
    rig.set(0x3ce, 0, 0x01);
    rig.write(2, 0x55);
    expect(rig.planes(2)).toEqual([0xff, 0, 0x55, 0x55]);
    rig.set(0x3ce, 1, 0);
    // The latches of byte 2, and every function.
    for (const [at, operation, expected] of [
      [3, 1, [0x0f, 0, 0x05, 0x05]],
      [4, 2, [0xff, 0x0f, 0x5f, 0x5f]],
      [5, 3, [0xf0, 0x0f, 0x5a, 0x5a]],
    ] as const) {
      rig.read(2);
      rig.set(0x3ce, 3, operation << 3);
      rig.write(at, 0x0f);
      expect(rig.planes(at)).toEqual(expected);
    }
    rig.set(0x3ce, 3, 0);
    rig.set(0x3ce, 8, 0xf0);
    rig.read(2);
    rig.write(6, 0xaa);
    expect(rig.planes(6)).toEqual([0xaf, 0xa0, 0xa5, 0xa5]);
  });

  test('write mode 1 copies, 2 has a color and 3 a mask', () => {
    const rig = new Rig({ kind: 'bios', bootsFrom: [] });
    rig.planar();
    rig.set(0x3ce, 5, 2);
    rig.write(0, 0x0a);
    expect(rig.planes(0)).toEqual([0, 0xff, 0, 0xff]);
    rig.set(0x3ce, 5, 1);
    rig.read(0);
    rig.write(9, 0x77);
    expect(rig.planes(9)).toEqual([0, 0xff, 0, 0xff]);
    rig.set(0x3ce, 5, 3);
    rig.set(0x3ce, 0, 0x0c);
    rig.read(0);
    rig.write(10, 0x0f);
    expect(rig.planes(10)).toEqual([0, 0xf0, 0x0f, 0xff]);
  });

  test('read mode 0 has a plane, 1 compares colors', () => {
    const rig = new Rig({ kind: 'bios', bootsFrom: [] });
    rig.planar();
    for (const [plane, value] of [0x11, 0x22, 0x44, 0x88].entries()) {
      rig.set(0x3c4, 2, 1 << plane);
      rig.write(0, value);
    }
    const read = [0, 1, 2, 3].map(plane => {
      rig.set(0x3ce, 4, plane);
      return rig.read(0);
    });
    expect(read).toEqual([0x11, 0x22, 0x44, 0x88]);
    rig.set(0x3ce, 5, 0x08);
    rig.set(0x3ce, 2, 0x01);
    rig.set(0x3ce, 7, 0x0f);
    expect(rig.read(0)).toBe(0x11);
    rig.set(0x3ce, 7, 0x00);
    expect(rig.read(0)).toBe(0xff);
  });
});

describe('the legacy window', () => {
  test('maps text memory once it is used, and keeps what was written either way', () => {
    const rig = new Rig();
    const text = 0x1_8000;
    for (let cell = 0; cell < 100; cell++) {
      rig.write(text + 2 * cell, 0x41 + (cell % 26));
      rig.write(text + 2 * cell + 1, cell);
    }
    expect(rig.vga.core.shown).toBe('text');
    const frame = rig.look().frame;
    expect(frame).toMatchObject({ kind: 'text', columns: 80, rows: 25, palette: VGA_COLORS });
    if (frame.kind === 'text')
      expect([...frame.cells.subarray(0, 100)]).toEqual(
        Array.from({ length: 100 }, (_, at) => (0x41 + (at % 26)) | (at << 8)),
      );
    // A font is written to plane 2.
    rig.set(0x3c4, 2, 0x04);
    rig.set(0x3c4, 4, 0x06);
    rig.set(0x3ce, 5, 0x00);
    rig.set(0x3ce, 6, 0x04);
    expect(rig.vga.core.shown).toBeNull();
    rig.write(32 * 0x41, 0x7e);
    expect(rig.planes(32 * 0x41)[2]).toBe(0x7e);
    expect([rig.plane(0, 99), rig.plane(1, 99)]).toEqual([0x41 + (99 % 26), 99]);
  });

  test('maps linear memory in modes with chained planes, by banks', () => {
    const rig = new Rig({ kind: 'bios', bootsFrom: [] });
    for (const [index, value] of [
      [1, 640],
      [2, 480],
      [3, 8],
      [4, 0x01],
    ] as const)
      rig.dispi(index, value);
    rig.out(0x3c2, 0x63);
    rig.set(0x3ce, 8, 0xff);
    rig.set(0x3ce, 5, 0x40);
    rig.dispi(5, 3);
    for (let at = 0; at < 64; at++) rig.write(at, at);
    expect(rig.vga.core.shown).toBe('linear');
    rig.dispi(5, 4);
    expect(rig.vga.core.shown).toBeNull();
    expect([rig.read(5), rig.machine.memoryBus.read(rig.fn.bars[0]!.address! + 0x3_0005, 1)]).toEqual([0, 5]);
    rig.fn.writeConfig(REG.command, 2, 0);
    expect(rig.read(5)).toBe(0xff);
  });

  test('a guest cannot distinguish mapped memory from memory that causes exits', () => {
    const random = new Random(11);
    const [shown, other] = [new Rig(), new Rig()];
    for (let round = 0; round < 3000; round++) {
      const what = random.below(12);
      const [a, b] = [random.u32(), random.u32()];
      const both = (action: (rig: Rig) => unknown) => {
        const first = action(shown);
        expect(action(other)).toBe(first);
        // For this one, the count of exits until memory is mapped starts again.
        other.fn.writeConfig(REG.command, 2, COMMAND.io | COMMAND.memory);
      };
      if (what === 0) both(rig => rig.set(0x3c4, [2, 4][a & 1]!, [0x03, 0x0f, 0x02, 0x0e][b & 3]!));
      else if (what === 1)
        both(rig => rig.set(0x3ce, [5, 6, 4][a % 3]!, [0x10, 0x0e, 0, 0x40, 0x05][b % 5]!));
      else if (what < 7) both(rig => rig.write((a % 0x80) + [0, 0x1_8000][b & 1]!, b >>> 8));
      else both(rig => rig.read((a % 0x80) + [0, 0x1_8000][b & 1]!));
    }
    expect(shown.vga.save().memory).toEqual(other.vga.save().memory);
  });
});

describe('the display interface', () => {
  test('limits registers to valid values', () => {
    const rig = new Rig();
    for (const [index, value] of [
      [1, 1021],
      [2, 9999],
      [3, 17],
      [4, 0x41],
    ] as const)
      rig.dispi(index, value);
    const read = (index: number) => {
      rig.out(0x1ce, index, 2);
      return rig.in(0x1cf, 2);
    };
    expect([1, 2, 3, 6, 7].map(read)).toEqual([1016, Math.floor((4 * MiB) / 1016), 8, 1016, 4128]);
    rig.dispi(4, 0x02);
    expect([1, 2, 3].map(read)).toEqual([16_000, 12_000, 32]);
  });

  test.each([
    [15, 2, 0x7c1f, 0xff00ff],
    [16, 2, 0xf81f, 0xff00ff],
    [24, 3, 0x123456, 0x123456],
    [32, 4, 0x00123456, 0x123456],
  ] as const)('%i bits per pixel', (bits, bytes, value, color) => {
    const rig = new Rig({ kind: 'bios', bootsFrom: [] });
    rig.in(0x3da);
    rig.out(0x3c0, 0x20);
    for (const [index, each] of [
      [1, 320],
      [2, 200],
      [3, bits],
      [4, 0x41],
    ] as const)
      rig.dispi(index, each);
    const at = rig.fn.bars[0]!.address! + bytes * (320 * 7 + 5);
    for (let byte = 0; byte < bytes; byte++)
      rig.machine.memoryBus.write(at + byte, 1, (value >>> (8 * byte)) & 0xff);
    const { frame } = rig.look();
    expect(frame).toMatchObject({ kind: 'graphics', width: 320, height: 200 });
    expect([pixelOf(frame, 5, 7), pixelOf(frame, 6, 7)]).toEqual([color, 0]);
  });

  test('scrolls by its offset registers', () => {
    const rig = new Rig();
    for (const [index, each] of [
      [1, 320],
      [2, 200],
      [3, 32],
      [4, 0x41],
      [6, 640],
      [8, 100],
      [9, 50],
    ] as const)
      rig.dispi(index, each);
    const at = rig.fn.bars[0]!.address! + 4 * (640 * 51 + 102);
    rig.machine.memoryBus.write(at, 4, 0x00abcdef);
    expect(pixelOf(rig.look().frame, 2, 1)).toBe(0xabcdef);
  });
});

/** Compares many pixels without an assertion for each. */
function isSame(a: ScreenFrame, b: ScreenFrame): void {
  expect(a.kind).toBe(b.kind);
  const [one, other] = [a, b].map(frame =>
    frame.kind === 'graphics' ? frame.pixels : frame.kind === 'text' ? frame.cells : new Uint8Array(),
  );
  expect(Buffer.from(one!.buffer).equals(Buffer.from(other!.buffer))).toBe(true);
}

test('a restored VGA shows the same picture', () => {
  const rig = new Rig();
  for (const [index, each] of [
    [1, 320],
    [2, 200],
    [3, 32],
    [4, 0x41],
  ] as const)
    rig.dispi(index, each);
  const start = rig.fn.bars[0]!.address!;
  for (let at = 0; at < 4000; at++) rig.machine.memoryBus.write(start + 64 * at, 4, at * 0x1234);
  const other = new Rig();
  other.look();
  other.vga.load(structuredClone(rig.vga.save()));
  isSame(other.look().frame, rig.look().frame);
  // And a text mode, while its memory is mapped.
  const text = new Rig();
  for (let at = 0; at < 200; at++) text.write(0x1_8000 + at, at);
  expect(text.vga.core.shown).toBe('text');
  other.vga.load(structuredClone(text.vga.save()));
  isSame(other.look().frame, text.look().frame);
  other.vga.reset();
  expect(other.look().text.trim()).toBe('');
});
