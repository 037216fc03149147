import { expect, test } from 'vitest';
import { Parallel } from '../../../src/devices/legacy/parallel.ts';
import { FakeLine } from '../../support/fake-line.ts';
import { portBus, writeGarbage } from '../../support/port-device.ts';

const [DATA, STATUS, CONTROL] = [0x378, 0x379, 0x37a];
const [STROBE, INIT, SELECT, INTERRUPTS] = [0x01, 0x04, 0x08, 0x10];

function rig() {
  const printed: number[] = [];
  const line = new FakeLine();
  let edges = 0;
  const set = line.set.bind(line);
  line.set = level => {
    if (level && !line.level) edges++;
    set(level);
  };
  const backend = { write: (bytes: Uint8Array) => printed.push(...bytes), onInput: null };
  const device = new Parallel({ name: 'lpt1', port: DATA, line, backend });
  const bus = portBus(device);
  const print = (byte: number, more = 0) => {
    bus.write(DATA, 1, byte);
    bus.write(CONTROL, 1, INIT | SELECT | more | STROBE);
    bus.write(CONTROL, 1, INIT | SELECT | more);
  };
  return { device, bus, line, print, printed, edges: () => edges };
}

test('prints each byte once per strobe', () => {
  const { bus, print, printed, edges } = rig();
  // Selected, not busy, with paper and without an error.
  expect(bus.read(STATUS, 1) & 0xf8).toBe(0xd8);
  bus.write(DATA, 1, 0x41);
  expect([bus.read(DATA, 1), printed]).toEqual([0x41, []]);
  for (const byte of Buffer.from('AA\f')) print(byte);
  expect(Buffer.from(printed).toString()).toBe('AA\f');
  // The printer acknowledges it.
  expect([bus.read(STATUS, 1) & 0xf8, bus.read(STATUS, 1) & 0xf8]).toEqual([0x98, 0xd8]);
  // A strobe that stays on counts once.
  for (let i = 0; i < 3; i++) bus.write(CONTROL, 1, INIT | SELECT | STROBE);
  expect([printed.length, edges()]).toEqual([4, 0]);
});

test('interrupts on the acknowledge if enabled', () => {
  const { print, line, edges } = rig();
  print(0x41, INTERRUPTS);
  print(0x42, INTERRUPTS);
  expect([edges(), line.level]).toEqual([2, false]);
});

test('prints nothing while the printer is being reset', () => {
  const { bus, print, printed } = rig();
  bus.write(CONTROL, 1, SELECT);
  bus.write(CONTROL, 1, SELECT | STROBE);
  expect(printed).toEqual([]);
  bus.write(CONTROL, 1, INIT | SELECT);
  print(0x41);
  expect(printed).toEqual([0x41]);
});

test('continues in another machine, and works after garbage and a reset', () => {
  const { device, bus, print } = rig();
  print(0x55, INTERRUPTS);
  const other = rig();
  other.device.load(device.save());
  expect([other.bus.read(DATA, 1), other.bus.read(CONTROL, 1)]).toEqual([0x55, bus.read(CONTROL, 1)]);
  writeGarbage(device);
  device.reset();
  expect([bus.read(DATA, 1), bus.read(CONTROL, 1)]).toEqual([0, 0xc4]);
});
