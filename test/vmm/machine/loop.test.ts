import { expect, test } from 'vitest';
import { type MachineHandlers, MachineLoop } from '../../../src/vmm/machine/loop.ts';
import { atOnce } from '../../../src/vmm/machine/turns.ts';
import { EVENT } from '../../../src/vmm/native/abi.ts';
import type { NativeVm } from '../../../src/vmm/native/native-vm.ts';

/** A native side with an exit pending at every wait. */
const neverIdle = {
  wait: () => 1,
  eventKind: () => EVENT.exit,
  eventIndex: () => 0,
} as unknown as NativeVm;

const NO_HANDLERS: MachineHandlers = {
  exit: () => {},
  parked: () => {},
  vcpuEnded: () => {},
  queueBroken: () => {},
  diskErrors: () => {},
  queueEnded: () => {},
  idle: () => {},
};

test('timers fire during a constant stream of exits', () => {
  const loop = new MachineLoop(neverIdle);
  let exits = 0;
  loop.at(loop.now() + 1_000_000n, () => loop.stop());
  const running = loop.run({
    ...NO_HANDLERS,
    exit: () => {
      if (++exits === 10_000_000) throw new Error('the timer never fired');
    },
  });
  atOnce(running);
  expect(exits).toBeGreaterThan(0);
});

test('reports once that it is idle, and not while there is work', () => {
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

test("a callback's deferred work does not wait for an event", () => {
  const waits: (bigint | null)[] = [];
  const native = {
    wait: (timeout: bigint | null) => {
      waits.push(timeout);
      if (waits.length === 5) loop.stop();
      return 0;
    },
  } as unknown as NativeVm;
  const loop = new MachineLoop(native);
  const called: string[] = [];
  loop.soon(() => {
    called.push('first');
    loop.soon(() => {
      called.push('second');
      loop.soon(() => called.push(`third, after ${waits.length} waits`));
    });
  });
  let idle = 0;
  atOnce(loop.run({ ...NO_HANDLERS, idle: () => idle++ }));
  expect(called).toEqual(['first', 'second', 'third, after 2 waits']);
  expect(waits).toEqual([0n, 0n, 1_000_000_000n, null, null]);
  expect(idle).toBe(1);
});

test('a watch may be canceled twice without affecting a later one of the same fd', () => {
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
