import { expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { TypedAhead } from '../../src/engine/typed-ahead.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';

const KiB = 1024;

/** Whether a promise is resolved once all pending callbacks have run. */
async function isDone(something: Promise<void>): Promise<boolean> {
  let done = false;
  void something.then(() => {
    done = true;
  });
  await new Promise(setImmediate);
  return done;
}

test('accepts input until 64 KiB are pending, and again when the guest has read some', async () => {
  const ahead = new TypedAhead();
  ahead.typed(63 * KiB);
  expect(await isDone(ahead.room())).toBe(true);
  ahead.typed(32 * KiB);
  const room = ahead.room();
  ahead.taken(KiB);
  expect(await isDone(room)).toBe(false);
  ahead.taken(31 * KiB);
  expect(await isDone(room)).toBe(true);
});

test('does not wait for a machine that is gone', async () => {
  const ahead = new TypedAhead();
  ahead.typed(KiB * KiB);
  const room = ahead.room();
  ahead.clear();
  expect(await isDone(room)).toBe(true);
  // Its acknowledgment arrives late.
  ahead.taken(KiB * KiB);
  ahead.typed(64 * KiB);
  expect(await isDone(ahead.room())).toBe(false);
});

test.skipIf(noKvm !== null)(onKvm('a paused guest reads nothing, and a running one everything'), async () => {
  const engine = new LocalEngine();
  const guest = await GuestVm.start(engine);
  await guest.printed(/> /);
  await engine.pause(guest.id);
  const link = engine.openConsole(guest.id, { printed: () => {} });
  await link.takeKeyboard();
  const comments = `${'\r'.repeat(66 * KiB)}`;
  const fed = link.feed(Buffer.from(comments));
  // The machine thread answers this one after it has received the text.
  await engine.pause(guest.id);
  expect(await isDone(fed)).toBe(false);
  await engine.resume(guest.id);
  await fed;
  // A caller that waits for a machine that ends is released.
  await engine.pause(guest.id);
  const last = link.feed(Buffer.from(comments));
  await engine.kill(guest.id);
  await last;
  await engine.close();
});
