import { expect, test } from 'vitest';
import { MachineLoop } from '../../../src/vmm/machine/loop.ts';
import { atOnce } from '../../../src/vmm/machine/turns.ts';
import { EVENT, type NativeVm } from '../../../src/vmm/native/native.ts';

/** A native side with an exit pending at every wait. */
const neverIdle = {
  wait: () => 1,
  eventKind: () => EVENT.exit,
  eventIndex: () => 0,
} as unknown as NativeVm;

test('timers fire during a constant stream of exits', () => {
  const loop = new MachineLoop(neverIdle);
  let exits = 0;
  loop.at(loop.now() + 1_000_000n, () => loop.stop());
  const running = loop.run({
    exit: () => {
      if (++exits === 10_000_000) throw new Error('the timer never fired');
    },
    parked: () => {},
    vcpuEnded: () => {},
    queueBroken: () => {},
    diskErrors: () => {},
    queueEnded: () => {},
    idle: () => {},
  });
  atOnce(running);
  expect(exits).toBeGreaterThan(0);
});

test('it says once that it is idle, and not while there is something to do', () => {
  // An exit, then nothing any more.
  const counts = [1, 0, 0, 0];
  const waits: (bigint | null)[] = [];
  const native = {
    wait: (timeout: bigint | null) => {
      waits.push(timeout);
      const count = counts.shift() ?? 0;
      if (counts.length === 0) loop.stop();
      return count;
    },
    eventKind: () => EVENT.exit,
    eventIndex: () => 0,
  } as unknown as NativeVm;
  const loop = new MachineLoop(native);
  const said: string[] = [];
  const say = (word: string) => () => void said.push(word);
  const running = loop.run({
    exit: say('exit'),
    parked: say('parked'),
    vcpuEnded: say('vcpuEnded'),
    queueBroken: say('queueBroken'),
    diskErrors: say('diskErrors'),
    queueEnded: say('queueEnded'),
    idle: say('idle'),
  });
  atOnce(running);
  expect(said).toEqual(['exit', 'idle']);
  // Once it has said so, it sleeps for as long as nothing happens.
  expect(waits).toEqual([1_000_000_000n, 1_000_000_000n, null, null]);
});

test('a watch may be canceled twice, and then leaves a later one of the same fd alone', () => {
  const watched = new Set<number>();
  const native = {
    watchEventFd: (fd: number) => {
      if (watched.has(fd)) throw new Error('EEXIST');
      watched.add(fd);
    },
    unwatch: (fd: number) => {
      if (!watched.delete(fd)) throw new Error('ENOENT');
    },
  } as unknown as NativeVm;
  const loop = new MachineLoop(native);
  const cancel = loop.watch(7, () => {});
  cancel();
  cancel();
  loop.watch(7, () => {});
  cancel();
  expect([...watched]).toEqual([7]);
});
