import { afterEach, describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { allocateCounters } from '../../../src/vmm/counters/counters.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import type { FromMachine, MachineCommand, ToMachine } from '../../../src/vmm/machine/messages.ts';
import { MachineRunner } from '../../../src/vmm/machine/runner.ts';
import { ringVm } from '../../../src/vmm/native/native.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';

const config = parseMachineConfig({
  name: 'guest',
  memory: { bytes: 32 * 2 ** 20 },
  kernel: { path: builtFile('guest.elf') },
});

const runners: MachineRunner[] = [];
afterEach(() => {
  for (const runner of runners.splice(0)) runner.close();
});

/** A built machine that is told `commands` as soon as it runs; what it said; what it has not heard. */
function machine(...commands: MachineCommand[]) {
  const inbox: ToMachine[] = commands.map((command, id) => ({ kind: 'command', id, command }));
  const said: FromMachine[] = [];
  const post = (message: FromMachine) => {
    said.push(message);
    if (message.kind === 'created') ringVm(message.vm);
  };
  const counters = allocateCounters({ vcpus: 1, queues: 4, regions: 64 });
  const runner = new MachineRunner(counters, { post, next: () => inbox.shift() ?? null });
  runners.push(runner);
  runner.build(config);
  return { runner, said, inbox };
}

describe.skipIf(noKvm !== null)(onKvm('a machine that is told several things at once'), () => {
  test('leaves what comes after a reset to its next life', () => {
    const { runner, inbox } = machine('reset', 'stop');
    expect(runner.run()).toEqual({ kind: 'reset' });
    expect(inbox).toMatchObject([{ command: 'stop' }]);
  });

  test('answers a pause that a reset overtakes', () => {
    const { runner, said } = machine('pause', 'reset');
    runner.run();
    expect(said).toContainEqual({ kind: 'reply', id: 0, error: 'the machine was reset' });
    expect(said).toContainEqual({ kind: 'reply', id: 1, error: null });
  });

  test('ends for the first reason that it is given', () => {
    const { runner } = machine('stop', 'reset');
    expect(runner.run()).toMatchObject({ kind: 'ended', end: { crashed: false, reason: 'it was stopped' } });
  });
});
