import { describe, expect, it } from 'vitest';
import { Hpet } from '../../../src/devices/legacy/hpet/hpet.ts';
import { DeviceClock } from '../../support/device-clock.ts';
import { FakeLine } from '../../support/fake-line.ts';

const [CONFIG, STATUS, COUNTER] = [0x10, 0x20, 0xf0];
const timer = (index: number) => ({ config: 0x100 + 0x20 * index, comparator: 0x108 + 0x20 * index });
const [LEVEL, INTERRUPTS, PERIODIC, SET, MODE32] = [2, 4, 8, 0x40, 0x100];
const route = (gsi: number) => gsi << 9;
const MS = 1_000_000n;
/** 100 MHz. */
const TICKS_PER_MS = 100_000;

function rig(clock = new DeviceClock()) {
  const lines = new Map<number, FakeLine & { edges?: number }>();
  const edges = new Map<number, number>();
  const pit: boolean[] = [];
  const device = new Hpet({
    name: 'hpet0',
    clock,
    line: gsi => {
      const line = new FakeLine();
      lines.set(gsi, line);
      const set = line.set.bind(line);
      line.set = level => {
        if (level && !line.level) edges.set(gsi, (edges.get(gsi) ?? 0) + 1);
        set(level);
      };
      return line;
    },
    replacePit: isReplaced => pit.push(isReplaced),
  });
  const read = (offset: number) => device.read(offset, 4);
  const write = (offset: number, value: number) => device.write(offset, 4, value);
  const write64 = (offset: number, value: bigint) => {
    write(offset, Number(value & 0xffff_ffffn));
    write(offset + 4, Number(value >> 32n));
  };
  return { clock, device, lines, edges, pit, read, write, write64 };
}

describe('High Precision Event Timers', () => {
  it('has its capabilities, and counts at 100 MHz while it is enabled', () => {
    const { clock, read, write, write64 } = rig();
    expect([read(0), read(4)]).toEqual([0x8086_a201, 10_000_000]);
    write64(COUNTER, 0xffff_ff00n);
    clock.jump(MS);
    expect(read(COUNTER)).toBe(0xffff_ff00);
    write(CONFIG, 1);
    clock.jump(MS);
    // Halves that are read one after the other belong to the same count.
    const low = read(COUNTER);
    clock.jump(50_000n * MS);
    expect([low, read(COUNTER + 4)]).toEqual([TICKS_PER_MS - 0x100, 1]);
    expect(read(COUNTER + 4)).toBe(2);
    write64(COUNTER, 0n);
    expect(read(COUNTER + 4)).toBe(2);
  });

  it('interrupts once when a comparator matches, by an edge or until the status is cleared', () => {
    const { clock, read, write, write64, edges, lines } = rig();
    const [edge, level] = [timer(0), timer(2)];
    write(edge.config, INTERRUPTS | route(20));
    write64(edge.comparator, BigInt(TICKS_PER_MS));
    write(level.config, INTERRUPTS | LEVEL | route(21));
    write64(level.comparator, BigInt(2 * TICKS_PER_MS));
    clock.jump(10n * MS);
    expect(edges.size).toBe(0);
    write(CONFIG, 1);
    clock.jump(MS);
    expect([edges.get(20), lines.get(20)!.level, edges.get(21)]).toEqual([1, false, undefined]);
    clock.jump(MS);
    expect([edges.get(20), edges.get(21), lines.get(21)!.level, read(STATUS)]).toEqual([1, 1, true, 4]);
    write(STATUS, 4);
    expect([lines.get(21)!.level, read(STATUS)]).toEqual([false, 0]);
  });

  it('replaces the interrupts of the 8254 and the RTC if the guest enables that', () => {
    const { clock, device, write, write64, edges, pit } = rig();
    for (const index of [0, 1]) {
      write(timer(index).config, INTERRUPTS | route(20));
      write64(timer(index).comparator, BigInt(TICKS_PER_MS));
    }
    write(CONFIG, 3);
    expect(pit).toEqual([true]);
    clock.jump(MS);
    expect([...edges]).toEqual([
      [0, 1],
      [8, 1],
    ]);
    device.reset();
    expect(pit).toEqual([true, false]);
  });

  it.each([MODE32, 0])('interrupts periodically, as Linux sets it up (mode %i)', mode => {
    const { clock, read, write, write64, edges } = rig();
    const { config, comparator } = timer(0);
    const set = (ticks: number) =>
      mode === 0 ? write64(comparator, BigInt(ticks)) : write(comparator, ticks);
    write(CONFIG, 1);
    clock.jump(7n * MS);
    write(config, INTERRUPTS | PERIODIC | SET | mode | route(22));
    set(read(COUNTER) + TICKS_PER_MS);
    set(2 * TICKS_PER_MS);
    expect(read(config) & SET).toBe(0);
    clock.jump(MS);
    expect(edges.get(22)).toBe(1);
    for (let i = 0; i < 5; i++) clock.jump(2n * MS);
    expect(edges.get(22)).toBe(6);
    // Missed periods are one interrupt.
    clock.jump(20n * MS);
    expect(edges.get(22)).toBe(7);
  });

  it('accepts both halves of a comparator in one access', () => {
    const { read, write, write64 } = rig();
    const { config, comparator } = timer(1);
    write(config, PERIODIC | SET);
    write64(comparator, 0x1_2345_6789n);
    expect([read(comparator), read(comparator + 4)]).toEqual([0x2345_6789, 1]);
    write64(comparator, 100n);
    expect([read(comparator), read(comparator + 4)]).toEqual([0x2345_6789, 1]);
  });

  it('limits the rate of periods that are too short', () => {
    const { clock, write, edges } = rig();
    const { config, comparator } = timer(0);
    write(config, INTERRUPTS | PERIODIC | SET | MODE32 | route(20));
    write(comparator, 1);
    write(CONFIG, 1);
    for (let i = 0; i < 1000; i++) clock.jump(10_000n);
    expect(edges.get(20)).toBeLessThan(110);
    expect(edges.get(20)).toBeGreaterThan(90);
  });

  it('continues in another machine, and sets no timers while it is quiesced', () => {
    const { clock, device, write, write64, edges } = rig();
    write(timer(0).config, INTERRUPTS | route(20));
    write64(timer(0).comparator, BigInt(5 * TICKS_PER_MS));
    write(CONFIG, 1);
    clock.jump(3n * MS);
    device.quiesce(() => {});
    expect(clock.timers).toBe(0);
    const other = rig(clock);
    other.device.load(device.save());
    expect(other.device.save()).toEqual(device.save());
    clock.jump(MS);
    other.device.resume();
    expect(other.read(COUNTER)).toBe(4 * TICKS_PER_MS);
    clock.jump(MS);
    expect([edges.size, other.edges.get(20)]).toEqual([0, 1]);
  });

  it('survives garbage writes, and works again after a reset', () => {
    const { device, clock, read, lines, write, write64, edges } = rig();
    for (let offset = 0; offset < 0x400; offset += 4) write(offset, 0xffff_ffff);
    clock.jump(100n * MS);
    device.reset();
    expect([read(CONFIG), read(STATUS), read(COUNTER), clock.timers]).toEqual([0, 0, 0, 0]);
    expect([...lines.values()].some(({ level }) => level)).toBe(false);
    edges.clear();
    write(timer(0).config, INTERRUPTS | route(23));
    write64(timer(0).comparator, 10n);
    write(CONFIG, 1);
    clock.jump(MS);
    expect([...edges]).toEqual([[23, 1]]);
  });
});
