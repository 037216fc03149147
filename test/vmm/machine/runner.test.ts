import { afterEach, describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { allocateCounters } from '../../../src/vmm/counters/counters.ts';
import { type MachineConfig, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
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

const machine = (...commands: MachineCommand[]) => machineWith({}, ...commands);

/** A built machine that gets `commands` as soon as it runs, its messages, and the commands it hasn't read. */
function machineWith(more: Partial<MachineConfig>, ...commands: MachineCommand[]) {
  const inbox: ToMachine[] = commands.map((command, id) => ({ kind: 'command', id, command }));
  const said: FromMachine[] = [];
  const post = (message: FromMachine) => {
    said.push(message);
    if (message.kind === 'created') ringVm(message.vm);
  };
  const counters = allocateCounters({ vcpus: 1, queues: 4, regions: 64 });
  const runner = new MachineRunner(counters, { post, next: () => inbox.shift() ?? null });
  runners.push(runner);
  runner.build({ ...config, ...more });
  return { runner, said, inbox };
}

describe.skipIf(noKvm !== null)(onKvm('a machine with several commands at once'), () => {
  test('leaves commands after a reset to the next boot', () => {
    const { runner, inbox } = machine('reset', 'stop');
    expect(runner.run()).toEqual({ kind: 'reset' });
    expect(inbox).toMatchObject([{ command: 'stop' }]);
  });

  test('replies to a pause that a reset overtakes', () => {
    const { runner, said } = machine('pause', 'reset');
    runner.run();
    expect(said).toContainEqual({ kind: 'reply', id: 0, error: 'the machine was reset' });
    expect(said).toContainEqual({ kind: 'reply', id: 1, error: null });
  });

  test('ends for the first reason', () => {
    const { runner } = machine('stop', 'reset');
    expect(runner.run()).toMatchObject({ kind: 'ended', end: { crashed: false, reason: 'it was stopped' } });
  });
});

/** The end of a machine whose guest carries out `command`. */
function endOf(command: string, more: Partial<MachineConfig>) {
  const kernel = { ...config.kernel, append: `run="${command}"` };
  return machineWith({ kernel, ...more }).runner.run();
}

describe.skipIf(noKvm !== null)(onKvm('a guest that ends its machine'), () => {
  const devices = [{ type: 'isa-debug-exit' as const, iobase: 0xf4, iosize: 4 }];

  test('by a reboot, if configured', () => {
    expect(endOf('reboot', {})).toEqual({ kind: 'reset' });
    expect(endOf('reboot', { onReboot: 'stop' })).toMatchObject({
      kind: 'ended',
      end: { crashed: false, exitCode: null },
    });
    // The reset button is different.
    const { runner } = machineWith({ onReboot: 'stop' }, 'reset');
    expect(runner.run()).toEqual({ kind: 'reset' });
  });

  test('with a CPU model, if the host supports it', () => {
    expect(endOf('info; halt', { cpuModel: 'qemu64' })).toMatchObject({ end: { crashed: false } });
    const impossible = { cpuModel: 'qemu64', cpuFeatures: { add: ['fma4', 'avx512_4fmaps'], remove: [] } };
    expect(() => endOf('halt', { ...impossible, cpuEnforce: true })).toThrow(/lacks .*avx512_4fmaps/);
  });

  test("by the debug exit port, or by QEMU's in its place", () => {
    expect(endOf('exit 3', {})).toMatchObject({ end: { exitCode: 3 } });
    expect(endOf('exit 3', { devices })).toMatchObject({ end: { exitCode: 7 } });
  });
});
