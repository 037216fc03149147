import { describe, expect, test } from 'vitest';
import type { DeviceState } from '../../../src/devices/device.ts';
import type {
  AtaDrive,
  CommandHost,
  CommandRegisters,
  Signature,
} from '../../../src/devices/storage/ata/ata-drive.ts';
import { IdeMachine, type TaskFile } from '../../support/ide-machine.ts';
import { Random } from '../../support/random.ts';

const READ = 0x20;
const READ_EXT = 0x24;
const READ_MULTIPLE = 0xc4;
const READ_DMA = 0xc8;
const WRITE = 0x30;
const WRITE_MULTIPLE = 0xc5;
const WRITE_DMA = 0xca;
const IDENTIFY = 0xec;
const PACKET = 0xa0;
const STATUS = 0x1f7;

/** Registers of a command at an LBA of 28 bits. */
const at = (lba: number, count: number, features = 0): TaskFile => [
  features,
  count & 0xff,
  lba & 0xff,
  (lba >>> 8) & 0xff,
  (lba >>> 16) & 0xff,
  0xe0 | (lba >>> 24),
];

const content = (lba: number) => 1 + (lba % 251);

function filled(): IdeMachine {
  const ide = new IdeMachine();
  ide.fill();
  return ide;
}

/** What sectors of this many bytes were filled with. */
function firstBytes(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length / 512 }, (_, index) => bytes[index * 512]!);
}

/** A packet drive that returns the bytes of the packet in reverse, or accepts as many. */
class EchoDrive implements AtaDrive {
  readonly kind = 'packet';
  readonly name = 'cd0';
  readonly signature: Signature = { error: 1, count: 1, lba: 0xeb_14_01, device: 0 };
  readonly port = null;
  interface: AtaDrive['interface'] = 'serial';
  onNotify = null;
  taken: Uint8Array | null = null;

  execute(registers: CommandRegisters, host: CommandHost): void {
    const done = { status: 0x50, error: 0, count: 3, lba: registers.lba, device: registers.device };
    if (registers.command !== PACKET) {
      host.complete({ ...done, status: 0x51, error: 4 });
      return;
    }
    host.takePacket(packet => {
      const protocol = registers.features & 1 ? 'dma' : 'pio';
      const block = Math.floor(registers.lba / 256) & 0xfffe;
      const out = packet[0] === 0x55;
      if (out)
        host.transfer({ kind: 'bytes', direction: 'out', length: 12, protocol, block }, (_, bytes) => {
          this.taken = bytes!.slice();
          host.complete(done);
        });
      else
        host.transfer({ kind: 'bytes', direction: 'in', bytes: packet.toReversed(), protocol, block }, () =>
          host.complete(done),
        );
    });
  }

  abort(ended: () => void): void {
    ended();
  }

  softReset(): void {}
  reset(): void {}
  save(): DeviceState {
    return {};
  }
  load(): void {}
}

describe('an IDE channel', () => {
  test('shows the signature of its disk after power-on and a software reset, and no second drive', () => {
    const ide = filled();
    const registers = () => [1, 2, 3, 4, 5, 7].map(offset => ide.in(0x1f0 + offset));
    expect(registers()).toEqual([1, 1, 1, 0, 0, 0x50]);
    ide.send(READ, [at(5, 3)]);
    ide.out(0x3f6, 0x04);
    expect(ide.status).toBe(0x80);
    ide.out(0x3f6, 0x00);
    expect(registers()).toEqual([1, 1, 1, 0, 0, 0x50]);
    ide.out(0x1f6, 0xb0);
    expect(ide.status).toBe(0);
    expect(ide.in(0x376)).toBe(0x7f);
  });

  test('reads sectors through the data register, with an interrupt for each', () => {
    const ide = filled();
    ide.send(READ, [at(7, 3)]);
    expect(ide.status).toBe(0xd0);
    const seen: number[] = [];
    for (let sector = 0; sector < 3; sector++) {
      expect([ide.settle(), ide.interrupt]).toEqual([0x58, true]);
      expect(ide.in(STATUS)).toBe(0x58);
      expect(ide.interrupt).toBe(false);
      const words = Array.from({ length: 256 }, () => ide.in(0x1f0, 2));
      expect(new Set(words).size).toBe(1);
      seen.push(words[0]! & 0xff);
    }
    expect(seen).toEqual([7, 8, 9].map(content));
    expect([ide.status, ide.interrupt]).toEqual([0x50, true]);
  });

  test('reads many sectors by string instructions, with few disk requests', () => {
    const ide = filled();
    ide.send(READ, [at(0, 256)]);
    const bytes = ide.read(512);
    expect(firstBytes(bytes)).toEqual(Array.from({ length: 256 }, (_, lba) => content(lba)));
    expect(ide.disk.port!.log.length).toBeLessThanOrEqual(2);
    expect(ide.status).toBe(0x50);
  });

  test('reads blocks of several sectors, with a shorter last one', () => {
    const ide = filled();
    ide.send(0xc6, [at(0, 4)]);
    ide.settle();
    ide.send(READ_MULTIPLE, [at(10, 6)]);
    const first = new DataView(new ArrayBuffer(4 * 512));
    const last = new DataView(new ArrayBuffer(2 * 512));
    expect(ide.settle()).toBe(0x58);
    ide.machine.ports.readStringTo(0x1f0, 4, 512, first, 0);
    expect(ide.settle()).toBe(0x58);
    ide.machine.ports.readStringTo(0x1f0, 4, 256, last, 0);
    expect(ide.settle()).toBe(0x50);
    const seen = [first, last].flatMap(view => firstBytes(new Uint8Array(view.buffer)));
    expect(seen).toEqual([10, 11, 12, 13, 14, 15].map(content));
  });

  test('accepts 48-bit addresses in registers that are written twice', () => {
    const ide = filled();
    ide.send(READ_EXT, [[0, 0, 0, 0, 0, 0x40], at(20, 2)]);
    expect(firstBytes(ide.read(512))).toEqual([20, 21].map(content));
    ide.send(READ_EXT, [[0, 0, 1, 0, 0, 0x40], at(0, 1)]);
    // 2^24 is beyond its end.
    expect([ide.settle(), ide.in(0x1f1)]).toEqual([0x51, 0x10]);
    expect(ide.in(0x1f3)).toBe(0);
    ide.out(0x3f6, 0x80);
    expect(ide.in(0x1f3)).toBe(1);
  });

  test('writes through the data register', () => {
    const ide = filled();
    ide.send(WRITE, [at(30, 2)]);
    // The first block is not announced.
    expect([ide.status, ide.interrupt]).toEqual([0x58, false]);
    ide.write(Buffer.concat([Buffer.alloc(512, 0xaa), Buffer.alloc(512, 0xbb)]), 512);
    expect([ide.status, ide.interrupt]).toEqual([0x50, true]);
    expect(firstBytes(ide.disk.content.read(29 * 512, 4 * 512))).toEqual([
      content(29),
      0xaa,
      0xbb,
      content(32),
    ]);
    ide.send(WRITE_MULTIPLE, [at(100, 255)]);
    ide.write(Buffer.alloc(240 * 512, 0xcc), 16 * 512);
    ide.write(Buffer.alloc(15 * 512, 0xdd), 15 * 512);
    expect(ide.status).toBe(0x50);
    expect(firstBytes(ide.disk.content.read(339 * 512, 2 * 512))).toEqual([0xcc, 0xdd]);
  });

  test('transfers by its bus master, whichever is started first', () => {
    for (const order of ['bus master first', 'command first']) {
      const ide = filled();
      const start = () =>
        ide.dma(
          [
            [0x8000, 512],
            [0x2_0000, 1024],
          ],
          true,
        );
      const send = () => ide.send(READ_DMA, [at(3, 3)]);
      if (order === 'command first') send();
      start();
      if (order === 'bus master first') send();
      expect([ide.settle(), ide.interrupt]).toEqual([0x50, true]);
      expect(ide.in(ide.busMaster + 2) & 0x07).toBe(0x04);
      const bytes = (address: number) => ide.machine.memory.readable(address, 512)[0];
      expect([bytes(0x8000), bytes(0x2_0000), bytes(0x2_0200)]).toEqual([3, 4, 5].map(content));
      ide.out(ide.busMaster + 2, 0x04);
      expect(ide.in(ide.busMaster + 2) & 0x07).toBe(0);
      expect(ide.disk.port!.log).toEqual(['read 1536 1536']);
    }
  });

  test('has completed a transfer when a driver polls any register', () => {
    const registers: Record<string, (ide: IdeMachine) => boolean> = {
      'bus master': ide => (ide.in(ide.busMaster + 2) & 0x05) === 0x04,
      'alternate status': ide => ide.status === 0x50,
      'status, without interrupts': ide => {
        ide.out(0x3f6, 0x02);
        return ide.in(0x1f7) === 0x50;
      },
    };
    for (const [register, hasEnded] of Object.entries(registers)) {
      const ide = filled();
      ide.dma([[0x8000, 512]], true);
      ide.send(READ_DMA, [at(3, 1)]);
      expect([register, hasEnded(ide)]).toEqual([register, false]);
      ide.disk.port!.isDone = true;
      expect([register, hasEnded(ide)]).toEqual([register, true]);
      expect(ide.machine.memory.readable(0x8000, 512)[0]).toBe(content(3));
    }
  });

  test('writes by its bus master', () => {
    const ide = filled();
    ide.machine.memory.writable(0x1_0000, 1024).fill(0xee);
    ide.dma([[0x1_0000, 0x1_0000]], false);
    ide.send(WRITE_DMA, [at(40, 2)]);
    expect(ide.settle()).toBe(0x50);
    // The table has more than the drive wanted: the bus master is still active.
    expect(ide.in(ide.busMaster + 2) & 0x07).toBe(0x05);
    expect(firstBytes(ide.disk.content.read(39 * 512, 4 * 512))).toEqual([
      content(39),
      0xee,
      0xee,
      content(42),
    ]);
  });

  test.each([
    ['a table that is too short', (ide: IdeMachine) => ide.dma([[0x8000, 512]], true)],
    [
      'a table where there is no memory',
      (ide: IdeMachine) => {
        ide.out(ide.busMaster + 4, 0xf000_0000, 4);
        ide.out(ide.busMaster, 0x09);
      },
    ],
  ])('reports %s, and recovers by a software reset', (_, start) => {
    const ide = filled();
    ide.send(READ_DMA, [at(0, 2)]);
    start(ide);
    expect(ide.in(ide.busMaster + 2) & 0x03).toBe(0x02);
    expect(ide.status & 0x80).toBe(0x80);
    ide.out(ide.busMaster, 0);
    ide.out(0x3f6, 0x04);
    ide.out(0x3f6, 0x00);
    ide.send(IDENTIFY, [at(0, 0)]);
    expect(ide.read(512).length).toBe(512);
  });

  test('reports a region without memory as an error of the command', () => {
    const ide = filled();
    ide.dma([[0x4000_0000, 1024]], true);
    ide.send(READ_DMA, [at(0, 2)]);
    expect([ide.settle(), ide.in(0x1f1)]).toEqual([0x51, 0x04]);
    expect(ide.in(ide.busMaster + 2) & 0x07).toBe(0x06);
  });

  test('abandons a transfer when its bus master is stopped, until it is reset', () => {
    const ide = filled();
    ide.dma([[0x8000, 512]], true);
    ide.send(READ_DMA, [at(0, 1)]);
    ide.out(ide.busMaster, 0);
    ide.disk.port!.settle();
    expect(ide.status & 0x80).toBe(0x80);
    expect(ide.machine.memory.readable(0x8000, 1)[0]).toBe(0);
    ide.out(0x3f6, 0x04);
    ide.out(0x3f6, 0x00);
    expect(ide.settle()).toBe(0x50);
  });

  test('does not interrupt while the driver has disabled interrupts', () => {
    const ide = filled();
    ide.out(0x3f6, 0x02);
    ide.send(IDENTIFY, [at(0, 0)]);
    expect([ide.settle(), ide.interrupt]).toEqual([0x58, false]);
    ide.out(0x3f6, 0x00);
    expect(ide.interrupt).toBe(true);
  });

  test('responds at its ports only while they are decoded', () => {
    const ide = filled();
    const { slot } = ide.controller.pci!.place;
    ide.machine.pci.writeConfig(0, slot * 8, 0x40, 2, 0);
    expect([ide.in(STATUS), ide.in(0x1f0, 2)]).toEqual([0xff, 0xffff]);
    ide.machine.pci.writeConfig(0, slot * 8, 0x40, 2, 0x8000);
    expect(ide.in(STATUS)).toBe(0x50);
    ide.machine.pci.writeConfig(0, slot * 8, 4, 2, 0x4);
    expect(ide.in(STATUS)).toBe(0xff);
  });

  test('selects one of two drives, and diagnoses both', () => {
    const ide = filled();
    const cd = new EchoDrive();
    ide.connect(cd, 1);
    ide.out(0x1f6, 0xb0);
    expect([ide.in(0x1f4), ide.in(0x1f5), ide.status]).toEqual([0x14, 0xeb, 0]);
    ide.send(IDENTIFY, [[0, 0, 0, 0, 0, 0xb0]]);
    expect([ide.settle(), ide.in(0x1f1)]).toEqual([0x51, 4]);
    ide.send(0x90, []);
    expect([ide.interrupt, ide.in(0x1f6) & 0x10, ide.in(STATUS)]).toEqual([true, 0, 0x50]);
  });

  test('transfers packet commands, and reports their data to the driver', () => {
    const ide = filled();
    const cd = new EchoDrive();
    ide.connect(cd, 1);
    const packet = Uint8Array.from([0x12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const give = (bytes: Uint8Array) => {
      for (let index = 0; index < bytes.length; index += 2)
        ide.out(0x1f0, bytes[index]! | (bytes[index + 1]! << 8), 2);
    };
    // Blocks of 8 bytes.
    ide.send(PACKET, [[0, 0, 0, 8, 0, 0xb0]]);
    expect([ide.status, ide.in(0x1f2), ide.interrupt]).toEqual([0x58, 1, false]);
    give(packet);
    const seen: number[] = [];
    for (const bytes of [8, 4]) {
      expect([ide.status, ide.in(0x1f2), ide.in(0x1f4), ide.interrupt]).toEqual([0x58, 2, bytes, true]);
      ide.in(STATUS);
      for (let word = 0; word < bytes / 2; word++) {
        const value = ide.in(0x1f0, 2);
        seen.push(value & 0xff, value >>> 8);
      }
    }
    expect(seen).toEqual([...packet].reverse());
    expect([ide.status, ide.in(0x1f2), ide.interrupt]).toEqual([0x50, 3, true]);

    ide.send(PACKET, [[0, 0, 0, 0xfe, 0xff, 0xb0]]);
    give(Uint8Array.from([0x55, ...packet.subarray(1)]));
    expect([ide.status, ide.in(0x1f2), ide.interrupt]).toEqual([0x58, 0, true]);
    give(packet);
    expect([ide.status, cd.taken]).toEqual([0x50, packet]);

    ide.dma([[0x9000, 12]], true);
    ide.send(PACKET, [[1, 0, 0, 0, 0, 0xb0]]);
    give(packet);
    expect(ide.settle()).toBe(0x50);
    expect([...ide.machine.memory.readable(0x9000, 12)]).toEqual([...packet].reverse());
  });

  test.each(['before the disk answers', 'in the middle of a block', 'in its DMA', 'while it writes'])(
    'continues in another machine with a command %s',
    when => {
      const [one, other] = [filled(), filled()];
      if (when === 'in its DMA') {
        for (const ide of [one, other]) ide.dma([[0x8000, 1024]], true);
        one.send(READ_DMA, [at(3, 2)]);
      } else if (when === 'while it writes') {
        one.send(WRITE, [at(50, 2)]);
        for (let word = 0; word < 300; word++) one.out(0x1f0, 0x1234, 2);
      } else {
        one.send(READ, [at(7, 2)]);
        if (when === 'in the middle of a block') {
          one.settle();
          one.in(STATUS);
          for (let word = 0; word < 100; word++) one.in(0x1f0, 2);
        }
      }
      const interrupt = one.interrupt;
      const parts = (ide: IdeMachine) => [ide.piix, ide.drive];
      for (const ide of [one, other]) for (const part of parts(ide)) (part as AtaDrive).quiesce?.(() => {});
      parts(other).forEach((part, index) => {
        part.load(structuredClone(parts(one)[index]!.save()));
      });
      expect(parts(other).map(part => part.save())).toEqual(parts(one).map(part => part.save()));
      for (const part of parts(other)) part.resume();
      expect(other.interrupt).toBe(interrupt);
      if (when === 'in its DMA') {
        expect(other.settle()).toBe(0x50);
        expect([0x8000, 0x8200].map(address => other.machine.memory.readable(address, 1)[0])).toEqual(
          [3, 4].map(content),
        );
      } else if (when === 'while it writes') {
        for (let word = 300; word < 512; word++) other.out(0x1f0, 0x1234, 2);
        expect(other.settle()).toBe(0x50);
        const written = other.disk.content.read(50 * 512, 1024);
        expect(written.every((byte, index) => byte === (index % 2 === 0 ? 0x34 : 0x12))).toBe(true);
      } else {
        const left = when === 'in the middle of a block' ? 156 : 256;
        other.settle();
        const words = Array.from({ length: left }, () => other.in(0x1f0, 2) & 0xff);
        expect(new Set(words)).toEqual(new Set([content(7)]));
        expect(other.settle()).toBe(0x58);
        expect(other.in(0x1f0, 2) & 0xff).toBe(content(8));
      }
    },
  );

  test.each([1, 2, 3, 4])('survives any guest writes (%i)', seed => {
    const random = new Random(seed);
    const ide = filled();
    ide.connect(new EchoDrive(), 1);
    const commands = [
      READ,
      READ_EXT,
      READ_MULTIPLE,
      READ_DMA,
      WRITE,
      WRITE_DMA,
      IDENTIFY,
      PACKET,
      0x08,
      0x90,
      0xc6,
      0xef,
    ];
    for (let round = 0; round < 6000; round++) {
      const action = random.below(16);
      if (action === 0)
        ide.send(random.pick([...commands, random.below(256)]), [at(random.below(400), random.below(256))]);
      else if (action === 1) ide.out(0x1f6, random.pick([0xe0, 0xf0, random.below(256)]));
      else if (action === 2)
        ide.dma(
          [
            [random.u32(), random.below(2 ** 16)],
            [random.below(2 ** 20), random.below(2 ** 16)],
          ],
          random.below(2) === 0,
        );
      else if (action === 3) ide.out(0x3f6, random.pick([0, 0, 2, 4, random.below(256)]));
      else if (action === 4) {
        const view = new DataView(new ArrayBuffer(2048));
        if (random.below(2) === 0) ide.machine.ports.readStringTo(0x1f0, 2, 1024, view, 0);
        else ide.machine.ports.writeStringFrom(0x1f0, 4, 512, view, 0);
      } else if (action < 9) ide.disk.port!.step();
      else if (action < 12)
        ide.in(
          random.pick([0x1f0, STATUS, 0x3f6, 0x1f1, ide.busMaster + random.below(16)]),
          random.pick([1, 2, 4]),
        );
      else if (action < 14) ide.out(ide.busMaster + random.below(16), random.u32(), 4);
      else ide.out(0x1f0 + random.below(8), random.u32(), random.pick([1, 2, 4]));
    }
    ide.out(ide.busMaster, 0);
    ide.out(0x3f6, 0x04);
    ide.out(0x3f6, 0x00);
    ide.out(0x1f6, 0xe0);
    ide.settle();
    ide.send(IDENTIFY, [at(0, 0)]);
    expect(ide.read(512).length).toBe(512);
  });
});
