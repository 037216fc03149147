import { expect, test } from 'vitest';
import { MachineLoop } from '../../../src/vmm/machine/loop.ts';
import { EVENT, type NativeVm } from '../../../src/vmm/native/native.ts';

/** A native side with an exit pending at every poll. */
const neverIdle = {
  poll: () => 1,
  eventKind: () => EVENT.exit,
  eventIndex: () => 0,
} as unknown as NativeVm;

test('timers fire during a constant stream of exits', () => {
  const loop = new MachineLoop(neverIdle);
  let exits = 0;
  loop.at(loop.now() + 1_000_000n, () => loop.stop());
  loop.run({
    exit: () => {
      if (++exits === 10_000_000) throw new Error('the timer never fired');
    },
    parked: () => {},
    vcpuEnded: () => {},
    queueBroken: () => {},
    diskErrors: () => {},
  });
  expect(exits).toBeGreaterThan(0);
});
