import { describe, expect, test } from 'vitest';
import { FloppyMachine } from '../../support/floppy-machine.ts';
import { Random } from '../../support/random.ts';

const READ = 0xe6;
const WRITE = 0xc5;
const TO_MEMORY = 0x46;
const FROM_MEMORY = 0x4a;
const KiB = 1024;

/** A command that transfers sectors of a head of a cylinder. */
const transfer = (
  command: number,
  cylinder: number,
  head: number,
  sector: number,
  last: number,
): number[] => [command, head << 2, cylinder, head, sector, 2, last, 0x1b, 0xff];

function started(options?: ConstructorParameters<typeof FloppyMachine>[0]): FloppyMachine {
  const floppy = new FloppyMachine(options);
  floppy.fill();
  floppy.start();
  return floppy;
}

/** What a sector was filled with. */
const content = (lba: number) => 1 + (lba % 251);

describe('a floppy controller', () => {
  test('is held in reset until its driver releases it, and then has interrupts of four drives to sense', () => {
    const floppy = new FloppyMachine();
    expect(floppy.status).toBe(0);
    floppy.out(0x3f2, 0x0c);
    expect([floppy.status, floppy.interrupt]).toEqual([0x80, true]);
    expect([0, 1, 2, 3, 4].map(() => floppy.command(0x08))).toEqual([
      [0xc0, 0],
      [0xc1, 0],
      [0xc2, 0],
      [0xc3, 0],
      [0x80],
    ]);
    expect(floppy.interrupt).toBe(false);
  });

  test('identifies itself as drivers expect', () => {
    const floppy = started();
    expect(floppy.command(0x10)).toEqual([0x90]);
    expect(floppy.command(0x18)).toEqual([0x41]);
    expect(floppy.command(0x1f)).toEqual([0x80]);
    floppy.command(0x03, 0xaf, 0x02);
    floppy.command(0x13, 0, 0x57, 0x11);
    floppy.command(0x12, 0x84);
    expect(floppy.command(0x94)).toEqual([0x10]);
    expect(floppy.command(0x0e)).toEqual([0, 0, 0, 0, 0xaf, 0x02, 0, 0x84, 0x57, 0x11]);
    // LOCK protects what CONFIGURE has set of the FIFO from a reset by software.
    floppy.out(0x3f4, 0x80);
    for (let drive = 0; drive < 4; drive++) floppy.command(0x08);
    expect(floppy.command(0x0e).slice(7)).toEqual([0x84, 0x07, 0x11]);
    expect(floppy.command(0x14)).toEqual([0]);
    expect(floppy.command(0x8e, 0x00, 0xc0)).toEqual([]);
  });

  test('reads by DMA to terminal count, and names the next sector', () => {
    const floppy = started();
    floppy.dma(0x2_0000, 3 * 512, TO_MEMORY);
    floppy.send(...transfer(READ, 1, 0, 17, 18));
    expect([floppy.status & 0x90, floppy.interrupt]).toEqual([0x10, false]);
    // With both heads: 17 and 18 of head 0, 1 of head 1.
    expect(floppy.result()).toEqual([0, 0, 0, 1, 1, 2, 2]);
    const bytes = floppy.machine.memory.readable(0x2_0000, 3 * 512 + 1);
    expect([0, 512, 1024, 1536].map(at => bytes[at])).toEqual([...[52, 53, 54].map(lba => content(lba)), 0]);
    // The channel has reached terminal count, and is masked.
    expect([floppy.in(0x08) & 0x04, floppy.in(0x0f) & 0x04]).toEqual([0x04, 0x04]);
  });

  test('interrupts at the end of a command until its result is read', () => {
    const floppy = started();
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    floppy.send(...transfer(READ, 0, 0, 1, 1));
    floppy.disk.port!.settle();
    expect(floppy.interrupt).toBe(true);
    floppy.in(0x3f5);
    expect(floppy.interrupt).toBe(false);
  });

  test('waits for its DMA channel', () => {
    const floppy = started();
    floppy.out(0x0a, 0x06);
    floppy.send(...transfer(READ, 0, 0, 1, 18));
    floppy.disk.port!.settle();
    expect(floppy.status & 0x90).toBe(0x10);
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    expect(floppy.result()).toEqual([0, 0, 0, 0, 0, 2, 2]);
  });

  test('writes by DMA, and fills the sector in which the data ends with zeros', () => {
    const floppy = started();
    floppy.machine.memory.writable(0x3_0000, KiB).fill(0xaa);
    floppy.dma(0x3_0000, 600, FROM_MEMORY);
    expect(floppy.command(...transfer(WRITE, 2, 1, 4, 18))).toEqual([4, 0, 0, 2, 1, 6, 2]);
    const lba = (2 * 2 + 1) * 18 + 3;
    const written = floppy.disk.content.read(lba * 512, 3 * 512);
    expect([0, 599, 600, 1023, 1024].map(at => written[at])).toEqual([0xaa, 0xaa, 0, 0, content(lba + 2)]);
  });

  test('reads and writes through its FIFO, to the end of the cylinder', () => {
    const floppy = started();
    floppy.command(0x03, 0xaf, 0x03);
    floppy.send(...transfer(0x46, 0, 0, 2, 3));
    floppy.disk.port!.settle();
    expect([floppy.status, floppy.interrupt]).toEqual([0xf0, true]);
    const bytes = Array.from({ length: 1024 }, () => floppy.in(0x3f5));
    expect([bytes[0], bytes[512]]).toEqual([content(1), content(2)]);
    expect(floppy.result()).toEqual([0x40, 0x80, 0, 0, 0, 3, 2]);

    floppy.send(...transfer(0x45, 0, 0, 5, 5));
    expect(floppy.status).toBe(0xb0);
    for (let at = 0; at < 512; at++) floppy.out(0x3f5, 0x55);
    expect(floppy.result()).toEqual([0x40, 0x80, 0, 0, 0, 5, 2]);
    expect(floppy.disk.content.read(4 * 512, 1)[0]).toBe(0x55);
  });

  test.each([
    ['sector 0', transfer(READ, 0, 0, 0, 18)],
    ['a sector behind the last', transfer(READ, 0, 0, 19, 19)],
    ['a cylinder behind the last', transfer(READ, 80, 0, 1, 18)],
    ['sectors of 1024 bytes', [READ, 0, 0, 0, 1, 3, 18, 0x1b, 0xff]],
    ['another head than the one that is selected', [READ, 4, 0, 0, 1, 2, 18, 0x1b, 0xff]],
  ])('does not find %s', (_, command) => {
    const floppy = started();
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    expect(floppy.command(...command).slice(0, 3)).toEqual([0x40 | (command[1]! & 4), 0x04, 0]);
  });

  test('finds no medium without one, at another data rate, or in a missing drive', () => {
    const empty = started({ empty: true });
    expect(empty.command(...transfer(READ, 0, 0, 1, 1)).slice(0, 2)).toEqual([0x40, 0x01]);
    expect(empty.command(0x4a, 0x00).slice(0, 2)).toEqual([0x40, 0x01]);
    const floppy = started();
    floppy.out(0x3f7, 2);
    expect(floppy.command(0x4a, 0x00).slice(0, 2)).toEqual([0x40, 0x01]);
    floppy.out(0x3f7, 0);
    expect(floppy.command(0x4a, 0x04)).toEqual([4, 0, 0, 0, 1, 1, 2]);
    expect(floppy.command(0x4a, 0x05).slice(0, 2)).toEqual([0x45, 0x01]);
    floppy.send(0x07, 0x01);
    expect(floppy.command(0x08)).toEqual([0x71, 0]);
  });

  test('seeks, and resets the disk change line with the first step', () => {
    const floppy = started();
    expect(floppy.isChanged).toBe(true);
    floppy.send(0x07, 0x00);
    expect(floppy.command(0x08)).toEqual([0x20, 0]);
    expect(floppy.isChanged).toBe(true);
    floppy.send(0x0f, 0x04, 33);
    expect([floppy.interrupt, floppy.status]).toEqual([true, 0x81]);
    expect(floppy.command(0x08)).toEqual([0x24, 33]);
    expect([floppy.interrupt, floppy.isChanged, floppy.status]).toEqual([false, false, 0x80]);
    floppy.send(0x8f, 0x00, 3);
    expect(floppy.command(0x08)).toEqual([0x20, 30]);
    expect(floppy.command(0x04, 0x00)).toEqual([0x28]);
    floppy.send(0x07, 0x00);
    floppy.command(0x08);
    expect(floppy.command(0x04, 0x00)).toEqual([0x38]);
  });

  test('does not write to a protected medium', () => {
    const floppy = started({ readonly: true });
    expect(floppy.command(0x04, 0x00)).toEqual([0x78]);
    floppy.dma(0x2_0000, 512, FROM_MEMORY);
    expect(floppy.command(...transfer(WRITE, 0, 0, 1, 1)).slice(0, 3)).toEqual([0x40, 0x02, 0]);
    expect(floppy.command(0x4d, 0x00, 2, 18, 0x6c, 0xf6).slice(0, 3)).toEqual([0x40, 0x02, 0]);
    expect(floppy.disk.port!.log).toEqual([]);
  });

  test('formats a track', () => {
    const floppy = started();
    const ids = Uint8Array.from(Array.from({ length: 18 }, (_, index) => [1, 1, index + 1, 2]).flat());
    floppy.machine.memory.writable(0x2_0000, ids.length).set(ids);
    floppy.dma(0x2_0000, ids.length, FROM_MEMORY);
    floppy.send(0x0f, 0x00, 1);
    floppy.command(0x08);
    expect(floppy.command(0x4d, 0x04, 2, 18, 0x6c, 0xf6).slice(0, 3)).toEqual([4, 0, 0]);
    const track = floppy.disk.content.read(54 * 512, 18 * 512);
    expect(track.every(byte => byte === 0xf6)).toBe(true);
    expect(floppy.disk.content.read(53 * 512, 1)[0]).toBe(content(53));
    expect(floppy.disk.content.read(72 * 512, 1)[0]).toBe(content(72));
  });

  test('reads zeros where an image ends early', () => {
    const floppy = started({ bytes: 100 * KiB });
    floppy.dma(0x2_0000, 2 * 512, TO_MEMORY);
    // 200 sectors: 5 cylinders with 36 each, and 20 more, the last 2 of which are on head 1.
    expect(floppy.command(...transfer(READ, 5, 1, 2, 3)).slice(0, 3)).toEqual([4, 0, 0]);
    const bytes = floppy.machine.memory.readable(0x2_0000, KiB);
    expect([bytes[0], bytes[512]]).toEqual([content(199), 0]);
  });

  test('reports an error of the host', () => {
    const floppy = started();
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    floppy.disk.port!.failures.push('host');
    expect(floppy.command(...transfer(READ, 0, 0, 1, 1)).slice(0, 3)).toEqual([0x40, 0x20, 0x20]);
  });

  test('drops its command when it is reset', () => {
    const floppy = started();
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    floppy.send(...transfer(READ, 0, 0, 1, 1));
    floppy.out(0x3f2, 0x18);
    floppy.out(0x3f2, 0x1c);
    floppy.disk.port!.settle();
    expect(floppy.command(0x08)).toEqual([0xc0, 0]);
    expect(floppy.machine.memory.readable(0x2_0000, 1)[0]).toBe(0);
  });

  test('ends its command when the medium is removed, and reports the change', () => {
    const floppy = started();
    floppy.send(0x0f, 0x00, 1);
    floppy.command(0x08);
    expect(floppy.isChanged).toBe(false);
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    floppy.send(...transfer(READ, 1, 0, 1, 1));
    const control = floppy.drive.capabilities!.disk!.drive!;
    control.change(null, false);
    expect(floppy.result().slice(0, 2)).toEqual([0x40, 0x01]);
    floppy.send(0x0f, 0x00, 2);
    floppy.command(0x08);
    expect(floppy.isChanged).toBe(true);
    control.change({ path: 'b.img', readonly: false, cache: 'writeback' }, false);
    expect(floppy.isChanged).toBe(true);
    floppy.send(0x0f, 0x00, 3);
    floppy.command(0x08);
    expect(floppy.isChanged).toBe(false);
  });

  test('continues a command that another controller has started', () => {
    for (const at of ['before the disk answers', 'in its data']) {
      const [one, other] = [started(), started()];
      one.command(0x03, 0xaf, 0x03);
      one.send(...transfer(0x46, 3, 0, 1, 2));
      if (at === 'in its data') {
        one.disk.port!.settle();
        for (let byte = 0; byte < 700; byte++) one.in(0x3f5);
      }
      const parts = (floppy: FloppyMachine) => [floppy.controller.device, floppy.drive.device];
      for (const part of parts(one)) part.quiesce?.(() => {});
      for (const part of parts(other)) part.quiesce?.(() => {});
      parts(other).forEach((part, index) => {
        part.load(structuredClone(parts(one)[index]!.save()));
      });
      for (const part of parts(other)) part.resume?.();
      const read: number[] = [];
      for (other.disk.port!.settle(); (other.status & 0x20) !== 0; ) read.push(other.in(0x3f5));
      expect(read.length).toBe(at === 'in its data' ? 324 : 1024);
      expect(read.at(-1)).toBe(content(3 * 36 + 1));
      expect(other.result()).toEqual([0x40, 0x80, 0, 3, 0, 2, 2]);
    }
  });

  test.each([
    [368_640, 0x20, 1],
    [1_228_800, 0x20, 0],
    [737_280, 0x40, 2],
    [1_474_560, 0x40, 0],
    [1_720_320, 0x40, 0],
    [2_949_120, 0x50, 3],
    [80 * KiB, 0x40, 0],
  ])('reports the drive type for %i bytes to firmware, with one data rate', (bytes, cmos, rate) => {
    const floppy = new FloppyMachine({ bytes });
    floppy.fill();
    floppy.start();
    const rates = [0, 1, 2, 3].filter(value => {
      floppy.out(0x3f7, value);
      return (floppy.command(0x4a, 0x00)[0]! & 0xc0) === 0;
    });
    expect(rates).toEqual([rate]);
    expect(floppy.controller.cmos).toEqual([
      { register: 0x10, mask: 0xff, value: cmos },
      { register: 0x14, mask: 0xc1, value: 1 },
    ]);
  });

  test('rejects a medium that is not a floppy', () => {
    expect(() => new FloppyMachine({ bytes: 10 * KiB * KiB })).toThrow(
      /the disk of fd0 has 10M.*at most .*: attach it as another kind of disk/,
    );
  });

  test.each([1, 2, 3, 4])('survives any guest writes (%i)', seed => {
    const random = new Random(seed);
    const floppy = started();
    const ports = [
      0x3f2, 0x3f4, 0x3f5, 0x3f5, 0x3f5, 0x3f7, 0x04, 0x05, 0x08, 0x0a, 0x0b, 0x0c, 0x0f, 0x81, 0xd0,
    ];
    const commands = [READ, WRITE, 0x4d, 0x4a, 0x08, 0x0f, 0x07, 0x46, 0x42, 0x56, 0x4c, 0x03, 0x8e];
    for (let round = 0; round < 5000; round++) {
      const action = random.below(12);
      if (action === 0) floppy.out(0x3f2, random.pick([0x1c, 0x1c, 0x1c, 0x0c, 0x18, random.below(256)]));
      else if (action === 1 && (floppy.status & 0xd0) === 0x80) {
        const command = random.pick(commands);
        floppy.out(0x3f5, command);
        const bytes = [
          random.below(8),
          random.below(82),
          random.below(2),
          random.below(20),
          2,
          random.below(22),
        ];
        for (const byte of bytes) floppy.out(0x3f5, byte);
      } else if (action === 2)
        floppy.dma(random.below(2 ** 24), 1 + random.below(2 ** 16), random.below(256));
      else if (action < 5) floppy.disk.port?.step();
      else if (action < 9) floppy.in(random.pick(ports));
      else if (action === 9) for (let i = 0; i < 600; i++) floppy.in(0x3f5);
      else floppy.out(random.pick(ports), random.below(256));
    }
    // It still works.
    floppy.out(0x3f2, 0);
    floppy.start();
    floppy.disk.port!.settle();
    floppy.out(0x3f7, 0);
    floppy.out(0x08, 0);
    floppy.dma(0x2_0000, 512, TO_MEMORY);
    floppy.command(0x03, 0xaf, 0x02);
    expect(floppy.command(...transfer(READ, 0, 0, 1, 1)).slice(0, 3)).toEqual([0, 0, 0]);
  });
});
