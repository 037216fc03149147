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

  test('gives guests the time that vring gives them, and vring some more to kill the rest', () => {
    const guests = Number(/--shutdown-timeout (\d+)/.exec(value('ExecStart')!)?.[1]);
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThanOrEqual(guests + 20);
    expect(value('KillMode')).toBe('mixed');
    expect(value('Type')).toBe('notify');
  });

  test('takes no device away', () => {
    for (const key of [
      'PrivateDevices',
      'DeviceAllow',
      'DevicePolicy',
      'ProtectClock',
      'MemoryDenyWriteExecute',
    ])
      expect(value(key)).toBeUndefined();
  });

  test('lets VMs have namespaces and cgroups', () => {
    expect(value('Delegate')).toBe('cpu memory pids');
    for (const key of ['RestrictNamespaces', 'ProtectControlGroups', 'PrivateUsers'])
      expect(value(key)).toBeUndefined();
  });

  test('is one that systemd takes', async context => {
    const { failed } = await execa('systemd-analyze', ['--version'], { reject: false });
    context.skip(failed, 'systemd-analyze is not installed');
    const folder = temporaryFolder();
    const copy = join(folder, 'vring.service');
    // It is verified that the program is there, too.
    writeFileSync(copy, unit.replace('/usr/bin/vring', process.execPath));
    mkdirSync(join(folder, 'run'));
    const { all, exitCode } = await execa('systemd-analyze', [...manager, 'verify', '--man=no', copy], {
      all: true,
      reject: false,
      env: { XDG_RUNTIME_DIR: join(folder, 'run') },
    });
    expect(all).toBe('');
    expect(exitCode).toBe(0);
  });
});
