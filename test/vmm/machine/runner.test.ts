import { afterEach, describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { type MachineConfig, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import type { Incoming } from '../../../src/vmm/machine/manager-link.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { MachineRunner } from '../../../src/vmm/machine/runner.ts';
import { allocateCounters } from '../../support/counters.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { linkWith, saidBy } from '../../support/machine-link.ts';

const config = parseMachineConfig({
  name: 'guest',
  memory: { bytes: 32 * 2 ** 20 },
  boot: { kind: 'kernel', path: builtFile('guest.elf') },
});

const runners: MachineRunner[] = [];
afterEach(() => {
  for (const runner of runners.splice(0)) runner.close();
});

const COMMANDS = {
  pause: { command: 'pause', arguments: {} },
  reset: { command: 'reset', arguments: {} },
  stop: { command: 'stop', arguments: { reason: 'it was stopped' } },
} as const;
type Name = keyof typeof COMMANDS;

const machine = (...commands: Name[]) => machineWith({}, ...commands);

/** A built machine that gets `commands` as soon as it runs, its report, and the commands it hasn't read. */
function machineWith(more: Partial<MachineConfig>, ...commands: Name[]) {
  const inbox: Incoming[] = commands.map((name, id) => ({ kind: 'command', id, ...COMMANDS[name] }));
  const report = new MachineReport();
  const counters = allocateCounters({ vcpus: 1, queues: 4, regions: 64 });
  const runner = new MachineRunner({ counters, report, link: linkWith(inbox) });
  runners.push(runner);
  runner.build({ ...config, ...more });
  runner.start({ ...config, ...more });
  return { runner, report, inbox };
}

describe.skipIf(noKvm !== null)(onKvm('a machine with several commands at once'), () => {
  test('leaves commands after a reset to the next boot', () => {
    const { runner, inbox } = machine('reset', 'stop');
    expect(runner.run()).toEqual({ kind: 'reset', by: 'button' });
    expect(inbox).toMatchObject([{ command: 'stop' }]);
  });

  test('replies to a pause that a reset overtakes', () => {
    const { runner, report } = machine('pause', 'reset');
    runner.run();
    const said = saidBy(report);
    expect(said).toContainEqual({ kind: 'reply', id: 0, error: 'the machine was reset', result: null });
    expect(said).toContainEqual({ kind: 'reply', id: 1, error: null, result: null });
  });

  test('ends for the first reason', () => {
    const { runner } = machine('stop', 'reset');
    expect(runner.run()).toMatchObject({ kind: 'ended', end: { crashed: false, reason: 'it was stopped' } });
  });
});

/** The end of a machine whose guest carries out `command`. */
function endOf(command: string, more: Partial<MachineConfig>) {
  const boot = { ...config.boot, append: `run="${command}"` };
  return machineWith({ boot, ...more }).runner.run();
}

describe.skipIf(noKvm !== null)(onKvm('a guest that ends its machine'), () => {
  const devices = [{ type: 'isa-debug-exit' as const, iobase: 0xf4, iosize: 4 }];

  test('by a reboot, if configured', () => {
    expect(endOf('reboot', {})).toEqual({ kind: 'reset', by: 'guest' });
    expect(endOf('reboot', { onReboot: 'stop' })).toMatchObject({
      kind: 'ended',
      end: { crashed: false, exitCode: null },
    });
    // The reset button is different.
    const { runner } = machineWith({ onReboot: 'stop' }, 'reset');
    expect(runner.run()).toEqual({ kind: 'reset', by: 'button' });
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
