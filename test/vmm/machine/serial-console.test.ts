import { expect, test } from 'vitest';
import { SerialConsole } from '../../../src/vmm/machine/serial-console.ts';
import { Timers } from '../../../src/vmm/machine/timers.ts';

/** A console, its output, and a manual clock. */
function setUp() {
  const timers = new Timers();
  const sent: Uint8Array[] = [];
  const clock = { now: () => 0n, at: timers.at.bind(timers) };
  return { console: new SerialConsole(bytes => sent.push(bytes), clock), sent, timers };
}

const text = (sent: Uint8Array[]) => sent.map(bytes => Buffer.from(bytes).toString());

test('the first byte is sent at once, the following ones together', () => {
  const { console, sent, timers } = setUp();
  for (const byte of Buffer.from('hello')) console.write(Uint8Array.of(byte));
  expect(text(sent)).toEqual(['h']);
  timers.fire(10_000_000n);
  expect(text(sent)).toEqual(['h', 'ello']);
  expect(timers.next).toBeNull();
});

test('the buffer can be flushed', () => {
  const { console, sent, timers } = setUp();
  console.write(Buffer.from('the '));
  console.write(Buffer.from('end'));
  console.flush();
  console.flush();
  timers.fire(10_000_000n);
  expect(text(sent)).toEqual(['the ', 'end']);
});

test('a flood is sent in chunks, and nothing is lost', () => {
  const { console, sent } = setUp();
  const flood = Uint8Array.from({ length: 10_000 }, (_, index) => index);
  console.write(flood);
  expect(sent.length).toBeGreaterThan(1);
  console.flush();
  expect(Buffer.concat(sent)).toEqual(Buffer.from(flood));
});

test('the rest after a full chunk is sent, too', () => {
  const { console, sent, timers } = setUp();
  console.write(Buffer.from('the first'));
  console.write(Buffer.from('wait'));
  console.write(Buffer.alloc(3000, 'x'));
  timers.fire(10_000_000n);
  expect(Buffer.concat(sent).length).toBe(9 + 4 + 3000);
});
