import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { builtFile, projectRoot } from '../../../src/project-root.ts';
import { type MachineConfig, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import type { Incoming } from '../../../src/vmm/machine/manager-link.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { MachineRunner } from '../../../src/vmm/machine/runner.ts';
import { atOnce } from '../../../src/vmm/machine/turns.ts';
import { allocateCounters } from '../../support/counters.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { linkWith, sentBy } from '../../support/machine-link.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

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
  test('is reset by its button, and continues with the next command', () => {
    const { runner, report, inbox } = machine('reset', 'reset', 'pause', 'stop');
    expect(atOnce(runner.run())).toMatchObject({ crashed: false, reason: 'it was stopped' });
    expect(inbox).toEqual([]);
    const said = sentBy(report);
    for (const id of [0, 1, 3]) expect(said).toContainEqual({ kind: 'reply', id, error: null, result: null });
  });

  test('leaves commands after a stop to the handler of its end, and ends for the first reason', () => {
    const { runner, inbox } = machine('stop', 'reset');
    expect(atOnce(runner.run())).toMatchObject({ crashed: false, reason: 'it was stopped' });
    expect(inbox).toMatchObject([{ command: 'reset' }]);
  });
});

/** The end of a machine whose guest carries out `command`. */
function endOf(command: string, more: Partial<MachineConfig>) {
  const boot = { ...config.boot, append: `run="${command}"` };
  return atOnce(machineWith({ boot, ...more }).runner.run());
}

describe.skipIf(noKvm !== null)(onKvm('a guest that ends its machine'), () => {
  const devices = [{ type: 'isa-debug-exit' as const, iobase: 0xf4, iosize: 4 }];

  test('by a reboot, if configured', () => {
    expect(endOf('reboot', { onReboot: 'stop' })).toMatchObject({ crashed: false, exitCode: null });
  });

  test('with a CPU model, if the host supports it', () => {
    expect(endOf('info; halt', { cpuModel: 'qemu64' })).toMatchObject({ crashed: false });
    const impossible = { cpuModel: 'qemu64', cpuFeatures: { add: ['fma4', 'avx512_4fmaps'], remove: [] } };
    expect(() => endOf('halt', { ...impossible, cpuEnforce: true })).toThrow(/lacks .*avx512_4fmaps/);
  });

  test("by the debug exit port, or by QEMU's instead", () => {
    expect(endOf('exit 3', {})).toMatchObject({ exitCode: 3 });
    expect(endOf('exit 3', { devices })).toMatchObject({ exitCode: 7 });
  });
});

test.skipIf(noKvm !== null)(onKvm('a device that cannot be closed does not keep others open'), () => {
  const file = join(temporaryFolder(), 'unclosed.ts');
  const example = readFileSync(join(projectRoot(), 'examples/device/tick-counter.ts'), 'utf8');
  writeFileSync(file, example.replace('close(): void {', "close(): void { throw new Error('no');"));
  const fds = openFds();
  const { runner, report } = machineWith(
    { deviceModules: [file], devices: [{ type: 'tick-counter' }, { type: 'virtio-rng' }] },
    'stop',
  );
  expect(atOnce(runner.run())).toMatchObject({ crashed: false, reason: 'it was stopped' });
  expect(openFds()).toBeGreaterThan(fds);
  runners.splice(0);
  runner.close();
  expect(openFds()).toBe(fds);
  expect(JSON.stringify(sentBy(report))).toMatch(/device tick0 could not be closed: unclosed\.ts:\d+: no/);
});

const openFds = () => readdirSync('/proc/self/fd').length;
