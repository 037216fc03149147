import { expect, test } from 'vitest';
import { PatientConsole } from '../../../src/vmm/machine/patient-console.ts';
import { DeviceClock } from '../../support/device-clock.ts';

test('has room for as much as its reader has read, and notifies when there is room again', () => {
  const clock = new DeviceClock();
  let unread = 0;
  let written = 0;
  let rooms = 0;
  const inner = {
    onInput: null as ((bytes: Uint8Array) => void) | null,
    write: (bytes: Uint8Array) => {
      written += bytes.length;
      unread += bytes.length;
    },
  };
  const console = new PatientConsole({ console: inner, unread: () => unread, clock });
  console.onRoom = () => rooms++;
  for (let room = console.room; room > 0; room = console.room)
    console.write(new Uint8Array(Math.min(room, 5000)));
  expect(written).toBe(32 * 1024);
  clock.advance(50);
  expect(rooms).toBe(0);
  unread = 1000;
  clock.advance(5);
  expect([rooms, console.room]).toEqual([1, 32 * 1024 - 1000]);
  let typed = '';
  console.onInput = bytes => {
    typed += Buffer.from(bytes).toString();
  };
  inner.onInput?.(Buffer.from('in'));
  expect(typed).toBe('in');
});
