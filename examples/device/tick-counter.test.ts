import { expect, test } from 'vitest';
import { TestMachine } from 'vring/device/testing';
import tickCounter from './tick-counter.ts';

/** Offsets of the registers, and the bit that starts it. */
const [CONTROL, COUNT, ADDRESS, ACKNOWLEDGE] = [0x0, 0x4, 0x8, 0xc];
const RUN = 1;
const TARGET = 0x1000;

/** A running counter with a tick every 20 ms, which stores its count at TARGET. */
function setUp() {
  const machine = new TestMachine();
  const counter = machine.add(tickCounter, { interval: '20' });
  counter.write(ADDRESS, TARGET);
  counter.write(CONTROL, RUN);
  return { machine, counter };
}

test('each tick is counted, stored in memory, and raises the interrupt', () => {
  const { machine, counter } = setUp();
  machine.clock.advance(19);
  expect([counter.read(COUNT), counter.interrupt]).toEqual([0, false]);
  machine.clock.advance(1);
  expect([counter.read(COUNT), counter.interrupt]).toEqual([1, true]);
  counter.write(ACKNOWLEDGE, 1);
  expect(counter.interrupt).toBe(false);
  machine.clock.advance(60);
  expect(machine.memory.readU32(TARGET)).toBe(4);
  expect(machine.statistics.get('tick0 ticks')).toBe(4);
});

test('an address outside of memory does no harm', () => {
  const { machine, counter } = setUp();
  counter.write(ADDRESS, 0xffff_fff0);
  machine.clock.advance(20);
  expect(counter.read(COUNT)).toBe(1);
});

test('it stops while quiesced, and continues from its state in another machine', () => {
  const { machine, counter } = setUp();
  machine.clock.advance(40);
  counter.device.quiesce?.(() => {});
  machine.clock.advance(100);
  const other = new TestMachine().add(tickCounter);
  other.device.load(counter.device.save());
  expect(other.read(COUNT)).toBe(2);
  expect(other.device.save()).toEqual(counter.device.save());
});

test('a reset stops it', () => {
  const { machine, counter } = setUp();
  machine.clock.advance(20);
  counter.device.reset();
  machine.pci.assign();
  machine.clock.advance(100);
  expect([counter.read(COUNT), counter.read(CONTROL), counter.interrupt]).toEqual([0, 0, false]);
});

test('its interval has limits', () => {
  expect(() => new TestMachine().add(tickCounter, { interval: 0 })).toThrow(
    'tick-counter: option "interval" takes a whole number, at least 1, at most 60000, not 0',
  );
});
