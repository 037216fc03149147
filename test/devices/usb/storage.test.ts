import { describe, expect, test } from 'vitest';
import { CODE } from '../../../src/devices/usb/xhci/trb.ts';
import { BULK_ENDPOINTS, DATA, XhciRig } from '../../support/xhci-rig.ts';

const WRAPPERS = 0x7_0000;
const STATUS = 0x7_1000;
const BLOCKS = 64 * 2048;

type Command = {
  readonly command: readonly number[];
  /** Bytes that the host expects. */
  readonly length?: number;
  readonly toHost?: boolean;
  /** Of the transfers of data; one with all of it if absent. */
  readonly pieces?: readonly number[];
  readonly data?: Uint8Array;
};

/** A stick and its driver. */
class StickRig extends XhciRig {
  readonly built;
  readonly slot: number;
  #tag = 1;

  constructor(options: Record<string, unknown> = {}) {
    super();
    this.start();
    this.built = this.plug('usb-storage', { path: 'stick.img', ...options });
    this.slot = this.address();
    this.configure(this.slot, BULK_ENDPOINTS);
  }

  /** Sends the wrapper of a command. */
  send({ command, length = 0, toHost = true }: Command, signature = 0x4342_5355): void {
    const bytes = this.memory.writable(WRAPPERS, 31).fill(0);
    this.memory.writeU32(WRAPPERS, signature);
    this.memory.writeU32(WRAPPERS + 4, this.#tag++);
    this.memory.writeU32(WRAPPERS + 8, length);
    bytes[12] = toHost ? 0x80 : 0;
    bytes[14] = command.length;
    bytes.set(command, 15);
    this.begin(this.slot, 4, 31, WRAPPERS);
  }

  /** Carries out a command. @returns status, residue and data */
  run(given: Command): { status: number; residue: number; data: Uint8Array; codes: number[] } {
    const { length = 0, toHost = true, pieces = length > 0 ? [length] : [], data } = given;
    if (data !== undefined) this.memory.writable(DATA, data.length).set(data);
    else this.memory.writable(DATA, 0x1_0000).fill(0xee);
    this.send(given);
    let at = DATA;
    for (const piece of pieces) {
      this.begin(this.slot, toHost ? 3 : 4, piece, at);
      this.disk.port!.settle();
      at += piece;
    }
    this.memory.writable(STATUS, 13).fill(0xee);
    this.begin(this.slot, 3, 13, STATUS);
    this.disk.port!.settle();
    const codes = this.events().map(({ code }) => code);
    expect(this.memory.readU32(STATUS)).toBe(0x5342_5355);
    expect(this.memory.readU32(STATUS + 4)).toBe(this.#tag - 1);
    return {
      status: this.memory.readable(STATUS, 13)[12]!,
      residue: this.memory.readU32(STATUS + 8),
      data: this.memory.readable(DATA, length).slice(),
      codes,
    };
  }

  /** Takes the unit attention after power-on. */
  ready(): this {
    expect(this.run({ command: [0, 0, 0, 0, 0, 0] }).status).toBe(1);
    expect(this.sense()).toEqual([6, 0x29, 0]);
    return this;
  }

  sense(): number[] {
    const { data } = this.run({ command: [3, 0, 0, 0, 18, 0], length: 18 });
    return [data[2]!, data[12]!, data[13]!];
  }
}

const be32 = (value: number) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
const rw10 = (operation: number, first: number, count: number, flags = 0) => [
  ...[operation, flags, ...be32(first), 0, count >> 8, count & 0xff, 0],
];
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const pattern = (length: number, seed = 0) =>
  Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 9) + seed) & 0xff);

describe('identification', () => {
  test('a stick is a high-speed disk with a name, a serial number and a capacity', () => {
    const rig = new StickRig({ serial: 'S-17' });
    expect((rig.port() >>> 10) & 0xf).toBe(3);
    const inquiry = rig.run({ command: [0x12, 0, 0, 0, 36, 0], length: 36 });
    expect(inquiry.status).toBe(0);
    expect(text(inquiry.data.subarray(8))).toBe('VRING   USB DISK        1.0 ');
    const serial = rig.run({ command: [0x12, 1, 0x80, 0, 255, 0], length: 255 });
    expect([text(serial.data.subarray(4, 8)), serial.residue]).toEqual(['S-17', 255 - 8]);
    rig.ready();
    const capacity = rig.run({ command: [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], length: 8 });
    expect([...capacity.data]).toEqual([...be32(BLOCKS - 1), ...be32(512)]);
    const mode = rig.run({ command: [0x1a, 0, 8, 0, 192, 0], length: 192 });
    expect([...mode.data.subarray(0, 8)]).toEqual([23, 0, 0x10, 0, 8, 18, 4, 0]);
    expect(rig.control(rig.slot, { type: 0xa1, request: 0xfe, length: 1 })).toEqual(Uint8Array.of(0));
  });

  test('a stick has descriptors for both speeds', () => {
    const rig = new StickRig();
    const of = (value: number) =>
      rig.control(rig.slot, { type: 0x80, request: 6, value, length: 255 }) as Uint8Array;
    expect([...of(0x200)].slice(9)).toEqual([
      ...[9, 4, 0, 0, 2, 8, 6, 0x50, 0],
      ...[7, 5, 0x81, 2, 0, 2, 0],
      ...[7, 5, 0x02, 2, 0, 2, 0],
    ]);
    expect([...of(0x700)].slice(18, 25)).toEqual([7, 5, 0x81, 2, 64, 0, 0]);
    expect(of(0x600).length).toBe(10);
  });

  test('unknown commands, and blocks beyond the end, return sense data', () => {
    const rig = new StickRig().ready();
    expect(rig.run({ command: [0xff, 0, 0, 0, 0, 0] }).status).toBe(1);
    expect(rig.sense()).toEqual([5, 0x20, 0]);
    const beyond = rig.run({ command: rw10(0x28, BLOCKS - 1, 2), length: 1024 });
    expect([beyond.status, beyond.residue]).toEqual([1, 1024]);
    expect(rig.sense()).toEqual([5, 0x21, 0]);
    expect(rig.sense()).toEqual([0, 0, 0]);
  });
});

describe('data', () => {
  test('is written and read in transfers of any size', () => {
    const rig = new StickRig().ready();
    const data = pattern(8 * 512);
    expect(rig.run({ command: rw10(0x2a, 100, 8), length: 4096, toHost: false, data }).status).toBe(0);
    expect(rig.disk.content.read(51_200, 4096)).toEqual(data);
    for (const pieces of [[4096], [512, 3584], [100, 412, 1000, 2584], [13, 4083]]) {
      const read = rig.run({ command: rw10(0x28, 100, 8), length: 4096, pieces });
      expect([read.status, read.residue]).toEqual([0, 0]);
      expect(read.data).toEqual(data);
    }
    const other = pattern(1024, 3);
    rig.run({ command: rw10(0x2a, 101, 2), length: 1024, toHost: false, data: other, pieces: [300, 724] });
    expect(rig.disk.content.read(101 * 512, 1024)).toEqual(other);
    expect(rig.disk.content.read(51_200, 512)).toEqual(data.subarray(0, 512));
  });

  test('is transferred by commands of 6, 12 and 16 bytes, too', () => {
    const rig = new StickRig().ready();
    const data = pattern(512);
    rig.run({ command: [0x0a, 0, 0, 7, 1, 0], length: 512, toHost: false, data });
    expect(rig.run({ command: [0xa8, 0, ...be32(7), ...be32(1), 0, 0], length: 512 }).data).toEqual(data);
    const long = [0x88, 0, ...be32(0), ...be32(7), ...be32(1), 0, 0];
    expect(rig.run({ command: long, length: 512 }).data).toEqual(data);
  });

  test('is durable when requested', () => {
    const rig = new StickRig().ready();
    const { log } = rig.disk.port!;
    rig.run({ command: rw10(0x2a, 1, 1), length: 512, toHost: false });
    expect(log.at(-1)).toBe('write 512 512');
    rig.run({ command: rw10(0x2a, 1, 1, 8), length: 512, toHost: false });
    expect(log.at(-1)).toBe('flush');
    rig.run({ command: rw10(0x35, 0, 0) });
    expect(log.filter(text => text === 'flush').length).toBe(2);
  });

  test('that the host expects beyond the end is zeros', () => {
    const rig = new StickRig().ready();
    const long = rig.run({ command: rw10(0x28, 0, 1), length: 1024, pieces: [2048] });
    expect([long.status, long.residue]).toEqual([0, 512]);
    expect(long.data.subarray(512).every(byte => byte === 0)).toBe(true);
    // The transfer was longer than the data sent.
    expect(long.codes).toContain(CODE.shortPacket);
  });

  test.each([
    ['more than the host expects', { command: rw10(0x28, 0, 2), length: 512 }],
    ['the other way', { command: rw10(0x28, 0, 1), length: 512, toHost: false }],
    ['none at all', { command: rw10(0x28, 0, 1) }],
  ])('of a command that needs %s causes a phase error', (_, command) => {
    const rig = new StickRig().ready();
    expect(rig.run(command).status).toBe(2);
    expect(rig.run({ command: [0, 0, 0, 0, 0, 0] }).status).toBe(0);
  });

  test("that the VM's host fails to read or write returns sense data", () => {
    const rig = new StickRig().ready();
    rig.disk.port!.failures.push('host');
    expect(rig.run({ command: rw10(0x28, 0, 2), length: 1024, pieces: [512, 512] })).toMatchObject({
      status: 1,
    });
    expect(rig.sense()).toEqual([3, 0x11, 0]);
    rig.disk.port!.failures.push('host');
    expect(rig.run({ command: rw10(0x2a, 0, 1), length: 512, toHost: false }).status).toBe(1);
    expect(rig.sense()).toEqual([3, 0x0c, 0]);
  });

  test('is not written to a read-only stick', () => {
    const rig = new StickRig({ readonly: true }).ready();
    expect(rig.run({ command: rw10(0x2a, 0, 1), length: 512, toHost: false }).status).toBe(1);
    expect(rig.sense()).toEqual([7, 0x27, 0]);
    expect(rig.run({ command: [0x1a, 0, 8, 0, 4, 0], length: 4 }).data[2]! & 0x80).toBe(0x80);
  });
});

describe('the transport', () => {
  test('halts on an invalid command until it is reset', () => {
    const rig = new StickRig().ready();
    rig.send({ command: [0] }, 0x1234_5678);
    expect(rig.events()).toMatchObject([{ code: CODE.stall, dci: 4 }]);
    rig.recover(rig.slot, 4);
    rig.begin(rig.slot, 3, 13, STATUS);
    expect(rig.events()).toMatchObject([{ code: CODE.stall, dci: 3 }]);
    rig.recover(rig.slot, 3);
    const clear = () => {
      for (const index of [0x81, 2]) rig.control(rig.slot, { type: 2, request: 1, index });
    };
    clear();
    rig.begin(rig.slot, 3, 13, STATUS);
    expect(rig.events()).toMatchObject([{ code: CODE.stall, dci: 3 }]);
    rig.recover(rig.slot, 3);
    rig.control(rig.slot, { type: 0x21, request: 0xff });
    clear();
    expect(rig.run({ command: [0, 0, 0, 0, 0, 0] }).status).toBe(0);
  });

  test('restarts a transfer that was stopped', () => {
    const rig = new StickRig().ready();
    rig.disk.content.write(0, pattern(512));
    rig.send({ command: rw10(0x28, 0, 1), length: 512 });
    rig.begin(rig.slot, 3, 512);
    rig.events();
    expect(rig.command(15, { control: (rig.slot << 24) | (3 << 16) }).code).toBe(CODE.success);
    rig.ringDoorbell(rig.slot, 3);
    rig.disk.port!.settle();
    expect(rig.events()).toMatchObject([{ code: CODE.success, dci: 3 }]);
    expect(rig.memory.readable(DATA, 512).slice()).toEqual(pattern(512));
  });

  test('returns memory to the driver only when the host no longer uses it', () => {
    const rig = new StickRig().ready();
    rig.send({ command: rw10(0x28, 0, 1), length: 512 });
    rig.begin(rig.slot, 3, 512);
    rig.events();
    rig.disk.port!.hangs = true;
    rig.commands.add({ control: (15 << 10) | (rig.slot << 24) | (3 << 16) });
    rig.ringDoorbell(0);
    expect(rig.events()).toEqual([]);
    rig.disk.port!.release();
    expect(rig.events().map(({ code }) => code)).toEqual([CODE.stopped, CODE.success]);
  });

  test('continues a command that was in progress in a saved machine', () => {
    const rig = new StickRig().ready();
    const data = pattern(2048);
    rig.disk.content.write(0, data);
    rig.send({ command: rw10(0x28, 0, 4), length: 2048 });
    rig.begin(rig.slot, 3, 1024);
    rig.disk.port!.settle();
    rig.begin(rig.slot, 3, 1024, DATA + 1024);
    rig.events();
    const devices = (of: XhciRig) => [of.controller.device, (of as StickRig).built.device];
    for (const device of devices(rig)) device.quiesce!(() => {});
    const states = devices(rig).map(device => structuredClone(device.save()));

    const other = new StickRig();
    other.disk.content.write(0, data);
    for (const device of devices(other)) device.quiesce!(() => {});
    other.memory.writable(0, 2 ** 20).set(rig.memory.readable(0, 2 ** 20));
    devices(other).forEach((device, index) => {
      device.load(states[index]!);
    });
    for (const device of devices(other)) device.resume!();
    other.disk.port!.settle();
    expect(other.memory.readable(DATA, 2048).slice()).toEqual(data);
  });

  test('reports another medium as a unit attention; keeps a locked one', () => {
    const rig = new StickRig({ removable: true }).ready();
    const { drive } = rig.built.capabilities!.disk!;
    const medium = { path: 'other.img', readonly: false, cache: 'writeback' } as const;
    rig.run({ command: [0x1e, 0, 0, 0, 1, 0] });
    expect(() => drive!.change(medium, false)).toThrow('the guest has locked the tray');
    rig.run({ command: [0x1e, 0, 0, 0, 0, 0] });
    drive!.change(null, false);
    expect(rig.run({ command: [0, 0, 0, 0, 0, 0] }).status).toBe(1);
    expect(rig.sense()).toEqual([6, 0x28, 0]);
    expect(rig.run({ command: [0, 0, 0, 0, 0, 0], length: 0 }).status).toBe(1);
    expect(rig.sense()).toEqual([2, 0x3a, 0]);
  });
});
