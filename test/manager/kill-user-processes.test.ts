import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { loginSettings, logoutWarning, sessionOf } from '../../src/manager/kill-user-processes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SESSION = '0::/user.slice/user-1000.slice/session-3.scope\n';
const PASSWD = 'root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n';

function root(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries({ 'etc/passwd': PASSWD, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test.each([
  [SESSION, { uid: 1000, name: 'anna' }],
  ['0::/user.slice/user-1000.slice/session-c2.scope/sub', { uid: 1000, name: 'anna' }],
  ['1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n2:cpu:/\n', { uid: 1000, name: 'anna' }],
  ['0::/user.slice/user-77.slice/session-3.scope', { uid: 77, name: '77' }],
  // The user's own manager: it survives a logout if lingering is enabled for the user.
  ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope', null],
  ['0::/system.slice/vring.service', null],
  ['0::/', null],
  ['', null],
])('the session of %j is %j', (cgroup, session) => {
  expect(sessionOf(cgroup, root({}))).toEqual(session);
});

test.each<[string, Record<string, string>, boolean]>([
  ['as upstream has it, without a file', {}, true],
  [
    'as it was built, by the comment',
    { 'etc/systemd/logind.conf': '[Login]\n#KillUserProcesses=no\n' },
    false,
  ],
  [
    'as it was built, by the comment in /usr',
    { 'usr/lib/systemd/logind.conf': '[Login]\n#KillUserProcesses=no\n' },
    false,
  ],
  [
    'on, by a drop-in',
    {
      'etc/systemd/logind.conf': '[Login]\n#KillUserProcesses=no\n',
      'usr/lib/systemd/logind.conf.d/10-x.conf': '[Login]\nKillUserProcesses = yes\n',
    },
    true,
  ],
  [
    'off, by the last of two drop-ins',
    {
      'etc/systemd/logind.conf.d/10-a.conf': '[Login]\nKillUserProcesses=1\n',
      'usr/lib/systemd/logind.conf.d/20-b.conf': '[Login]\nKillUserProcesses=off\n',
    },
    false,
  ],
  [
    'on, by a drop-in that hides another of its name',
    {
      'usr/lib/systemd/logind.conf.d/10.conf': '[Login]\nKillUserProcesses=no\n',
      'etc/systemd/logind.conf.d/10.conf': '[Login]\nKillUserProcesses=true\n',
    },
    true,
  ],
  [
    'off, whatever other sections say',
    { 'etc/systemd/logind.conf': '[Login]\nKillUserProcesses=no\n[X]\nKillUserProcesses=yes' },
    false,
  ],
])('KillUserProcesses is %s', (_, files, on) => {
  expect(loginSettings(root(files)).killUserProcesses).toBe(on);
});

test.each([
  ['', true],
  ['KillExcludeUsers=anna root', false],
  ['KillExcludeUsers=', true],
  ['KillOnlyUsers=ben', false],
  ['KillOnlyUsers=ben anna', true],
  ['KillOnlyUsers=anna\nKillOnlyUsers=ben', true],
  ['KillOnlyUsers=anna\nKillOnlyUsers=\nKillOnlyUsers=ben', false],
])('with %j, user anna is warned: %s', (setting, warned) => {
  const folder = root({ 'etc/systemd/logind.conf': `[Login]\nKillUserProcesses=yes\n${setting}\n` });
  expect(logoutWarning(folder, SESSION) !== null).toBe(warned);
});

test("the warning names the user and the remedies; logind does not kill root's processes", () => {
  const folder = root({ 'etc/systemd/logind.conf': '[Login]\nKillUserProcesses=yes\n' });
  const warning = logoutWarning(folder, SESSION);
  for (const part of ['when anna logs out', 'systemctl enable --now vring', 'loginctl enable-linger'])
    expect(warning).toContain(part);
  expect(logoutWarning(folder, SESSION.replace('user-1000', 'user-0'))).toBeNull();
  expect(logoutWarning(folder, '0::/system.slice/vring.service')).toBeNull();
});
