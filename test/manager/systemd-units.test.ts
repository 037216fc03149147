import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const UNITS = [
  ['the system', 'packaging/systemd/vring.service', []],
  ['a user', 'packaging/systemd/user/vring.service', ['--user']],
] as const;

describe.each(UNITS)('the unit for %s', (_, path, manager) => {
  const unit = readFileSync(path, 'utf8');
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];

  test('gives guests as much time as vring does, and vring some more to kill the rest', () => {
    const guests = Number(/--shutdown-timeout (\d+)/.exec(value('ExecStart')!)?.[1]);
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThanOrEqual(guests + 20);
    expect(value('Type')).toBe('notify');
  });

  test('leaves the VMs running when it is restarted, and when vring dies', () => {
    // stopRequests (src/manager/signals.ts) is asked by this signal; a test of manager restart sends it.
    expect(value('RestartKillSignal')).toBe('SIGUSR2');
    expect(value('KillMode')).toBe('process');
    expect(value('OOMPolicy')).toBe('continue');
    // The next one finds them there.
    expect(value('RuntimeDirectoryPreserve')).toBe('yes');
  });

  test('sets no limit that VMs would reach', () => {
    expect(value('TasksMax')).toBe('infinity');
    expect(Number(value('LimitNOFILE'))).toBeGreaterThanOrEqual(65536);
  });

  test('denies no device', () => {
    for (const key of [
      'PrivateDevices',
      'DeviceAllow',
      'DevicePolicy',
      'ProtectClock',
      'MemoryDenyWriteExecute',
    ])
      expect(value(key)).toBeUndefined();
  });

  test('allows namespaces and cgroups for VMs', () => {
    expect(value('Delegate')).toBe('cpu memory pids');
    expect(value('DelegateSubgroup')).toBe('manager');
    for (const key of ['RestrictNamespaces', 'ProtectControlGroups', 'PrivateUsers'])
      expect(value(key)).toBeUndefined();
  });

  test('is accepted by systemd', async context => {
    const { failed } = await execa('systemd-analyze', ['--version'], { reject: false });
    context.skip(failed, 'systemd-analyze is not installed');
    const folder = temporaryFolder();
    const copy = join(folder, 'vring.service');
    // This also verifies that the program exists.
    writeFileSync(copy, unit.replace('/usr/bin/vring', process.execPath));
    mkdirSync(join(folder, 'run'));
    const { all, exitCode } = await execa('systemd-analyze', [...manager, 'verify', '--man=no', copy], {
      all: true,
      reject: false,
      env: { XDG_RUNTIME_DIR: join(folder, 'run') },
    });
    // systemd before 254 does not know it.
    const rest = all.split('\n').filter(line => !/Unknown key (name )?'DelegateSubgroup'/.test(line));
    expect(rest.join('\n')).toBe('');
    expect(exitCode).toBe(0);
  });
});
