import { describe, expect, test } from 'vitest';
import { seedFiles } from '../../src/definitions/create/cloud-seed.ts';
import { plainDefinition } from '../../src/definitions/plain.ts';
import { readDefinition } from '../../src/definitions/read.ts';
import type { Definition } from '../../src/definitions/schema.ts';
import { writeDefinition } from '../../src/definitions/write.ts';
import { definitionYaml, yaml11 } from '../../src/definitions/yaml-for-others.ts';
import { hasYaml11, readYaml11 } from '../support/yaml-1.1.ts';

/** Strings that YAML 1.1, or PyYAML in particular, takes for something else, or not at all. */
const ODD = [
  ...[
    '',
    ' ',
    '  x ',
    'x\ty',
    'a\nb',
    'a\n',
    '~',
    '=',
    '<<',
    '-',
    '---',
    '...',
    '?',
    '|',
    '>',
    '\\',
    '"',
    "'",
  ],
  ...['no', 'NO', 'on', 'Off', 'y', 'N', 'yes', 'true', 'null', 'Null', '.inf', '-.INF', '.NaN'],
  ...[
    '1e3',
    '1e+3',
    '1.5e+3',
    '1.',
    '.5',
    '0x1f',
    '0o17',
    '017',
    '08',
    '0b1',
    '1_000',
    '+1',
    '1:2',
    '123456',
  ],
  ...['12:30', '12:30:45', '190:20:30.15', '52:54:00:02:30:28', '10:20:30:40:50:10', '2001-12-14'],
  ...['2001-12-14t21:59:43.10-05:00', 'a: b', 'a #b', '#x', '- x', '? x', '%x', '@x', '`x', '!x', '&x', '*x'],
  ...[
    '{a}',
    '[a',
    'a]',
    'a,b',
    'é',
    '😀',
    '\u0085',
    'a\u0085b',
    'a\u2028b',
    'x\u007f',
    'x\ufeff',
    '\u001b[31m',
  ],
];

describe.skipIf(!hasYaml11)('read back by PyYAML (needs python3-yaml)', () => {
  for (const write of [yaml11, definitionYaml])
    test(`${write.name} keeps strings and other values`, () => {
      const value = { list: ODD, map: Object.fromEntries(ODD.map((each, index) => [`key${index}`, each])) };
      const more = { number: 2, yes: true, no: false, empty: [] };
      expect(readYaml11(write({ ...value, more }))).toEqual({ ...value, more });
    });

  test.each(['no', 'on', '1e3', '12', '0x10', '017', 'y', 'null', '2001-12-14'])(
    'the seed of a VM named %s',
    hostname => {
      const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 # it\'s: "ada" @ {home} \\ é';
      const user = { name: 'on', sshKeys: [key], passwordHash: '$6$salt$ha:sh' };
      const mac = '52:54:00:02:30:28';
      const network = {
        mac,
        kind: 'static',
        address: '2001:db8::10/64',
        gateway: '2001:db8::1',
        nameservers: ['1::2'],
      } as const;
      const files = seedFiles({ hostname, instanceId: '1e5', user, network });
      expect(readYaml11(files['meta-data']!)).toEqual({ 'instance-id': '1e5', 'local-hostname': hostname });
      expect(readYaml11(files['user-data']!)).toMatchObject({
        users: [{ name: 'on', ssh_authorized_keys: [key], passwd: '$6$salt$ha:sh', lock_passwd: false }],
        ssh_pwauth: true,
      });
      expect(readYaml11(files['network-config']!)).toMatchObject({
        version: 2,
        ethernets: {
          nic0: {
            match: { macaddress: mac },
            addresses: ['2001:db8::10/64'],
            routes: [{ to: '::/0', via: '2001:db8::1' }],
            nameservers: { addresses: ['1::2'] },
          },
        },
      });
    },
  );

  test.each(['no', '1e3', '12', '0x10', '2001-12-14'])('the definition of a VM named %s', name => {
    const text = `name: "${name}"
description: "12:30:45"
machine: { kernel: /vmlinuz, append: "on" }
nics: [{ mac: 52:54:00:02:30:28 }]
disks: [{ file: "/a: b #c.img", serial: "0123" }]
`;
    const definition: Definition = readDefinition(text, { file: 'web.yaml' });
    expect(readYaml11(writeDefinition(definition))).toEqual(plainDefinition(definition));
  });
});

test('text that both YAML versions read alike stays unquoted in a definition', () =>
  expect(definitionYaml({ name: 'web', disks: [{ file: '/srv/web.img' }], cpus: 2 })).toBe(
    'name: web\ndisks:\n  - file: /srv/web.img\ncpus: 2\n',
  ));
