import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellText, systemctlText } from '../../src/text/shell.ts';

test('a shell reads the words back', () => {
  const words = [
    '/srv/a b.img',
    "it's",
    '$HOME',
    '`id`',
    '',
    '~',
    'a\\b',
    'x;y&z',
    '*',
    '#',
    '-o',
    'a=b',
    'é\nc',
    '%',
  ];
  const text = shellText(['printf', '%s\\0', ...words]);
  expect(execFileSync('sh', ['-c', text], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(words);
});

test('plain words are not quoted', () => {
  expect(shellText(['/usr/sbin/grub2-mkconfig', '-o', '/boot/grub2/grub.cfg', '--args=a,b'])).toBe(
    '/usr/sbin/grub2-mkconfig -o /boot/grub2/grub.cfg --args=a,b',
  );
});

test('names of units with escapes are quoted', () => {
  expect(systemctlText({ name: 'vring.service', user: true }, 'status')).toBe(
    'systemctl --user status vring.service',
  );
  expect(systemctlText({ name: 'vring-a\\x2db.service', user: false }, 'start')).toBe(
    "systemctl start 'vring-a\\x2db.service'",
  );
});
