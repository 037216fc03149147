import { expect, test } from 'vitest';
import { SerialConsole } from '../../../src/vmm/machine/serial-console.ts';
import { Timers } from '../../../src/vmm/machine/timers.ts';

/** A console, what it sent on, and a clock that moves by hand. */
function setUp() {
  const timers = new Timers();
  const sent: Uint8Array[] = [];
  const clock = { now: () => 0n, at: timers.at.bind(timers) };
  return { console: new SerialConsole(bytes => sent.push(bytes), clock), sent, timers };
}

const text = (sent: Uint8Array[]) => sent.map(bytes => Buffer.from(bytes).toString());

test('the first byte goes on at once, those that follow it together', () => {
  const { console, sent, timers } = setUp();
  for (const byte of Buffer.from('hello')) console.write(Uint8Array.of(byte));
  expect(text(sent)).toEqual(['h']);
  timers.fire(10_000_000n);
  expect(text(sent)).toEqual(['h', 'ello']);
  expect(timers.untilNext(0n)).toBeNull();
});

test('what waits can be sent on at once', () => {
  const { console, sent, timers } = setUp();
  console.write(Buffer.from('the '));
  console.write(Buffer.from('end'));
  console.flush();
  console.flush();
  timers.fire(10_000_000n);
  expect(text(sent)).toEqual(['the ', 'end']);
});

test('a flood goes on in pieces, and nothing of it is lost', () => {
  const { console, sent } = setUp();
  const flood = Uint8Array.from({ length: 10_000 }, (_, index) => index);
  console.write(flood);
  expect(sent.length).toBeGreaterThan(1);
  console.flush();
  expect(Buffer.concat(sent)).toEqual(Buffer.from(flood));
});

test('what is left over from a full piece goes on, too', () => {
  const { console, sent, timers } = setUp();
  console.write(Buffer.from('the first'));
  console.write(Buffer.from('wait'));
  console.write(Buffer.alloc(3000, 'x'));
  timers.fire(10_000_000n);
  expect(Buffer.concat(sent).length).toBe(9 + 4 + 3000);
});
