import { expect, test } from 'vitest';
import { changeKeys } from '../../../src/definitions/change/change-text.ts';
import { renamedText } from '../../../src/definitions/change/rename.ts';
import { readDefinition } from '../../../src/definitions/read.ts';
import { macAddress } from '../../../src/engine/networks/mac-address.ts';

const COMMENTED = `# the web server
name: web   # public
nics:
- network: tap   # to the bridge

memory:   2G
`;

const autostart = (text: string, value: boolean) =>
  changeKeys(text, 'web.yaml', [{ path: ['autostart'], value }]);

test('a single value is changed in place, without touching any other text', () => {
  expect(changeKeys(COMMENTED, 'web.yaml', [{ path: ['name'], value: 'db' }])).toBe(
    COMMENTED.replace('name: web ', 'name: db '),
  );
  expect(autostart(COMMENTED, true)).toBe(`${COMMENTED}autostart: true\n`);
  expect(autostart('name: web\nautostart: no-such # why\n', true)).toBe('name: web\nautostart: true # why\n');
  expect(autostart('name: web', false)).toBe('name: web\nautostart: false\n');
});

test.each([
  '{name: web, memory: 1G}',
  'name: web\n...\n',
  '---\nname: web\n',
  'name: web\nautostart: &a false\n',
  'name: web\ndescription: >-\n  autostart: true\n',
])('the new text has the intended meaning, whatever its form: %j', text => {
  const changed = autostart(text, true);
  expect(readDefinition(changed, { file: 'web.yaml' })).toEqual({
    ...readDefinition(text, { file: 'web.yaml' }),
    autostart: true,
  });
});

test('line endings stay the same', () => {
  const text = COMMENTED.replaceAll('\n', '\r\n');
  expect(autostart(text, true)).toBe(`${text}autostart: true\r\n`);
  const changed = changeKeys(text, 'web.yaml', [
    { path: ['autostart'], value: true },
    { path: ['nics', 0, 'mac'], value: '52:54:00:00:00:01' },
  ]);
  expect(changed).toContain('mac: 52:54:00:00:00:01\r\n');
  expect(changed.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
});

test('a name that YAML would not read as a string is quoted', () => {
  for (const name of ['no', '1e3', '0x10', 'null', 'true'])
    expect(
      readDefinition(changeKeys('name: web', 'f', [{ path: ['name'], value: name }]), { file: 'f' }).name,
    ).toBe(name);
});

test('network cards keep their addresses under another name', () => {
  const text = 'name: web # public\nnics: [{}, {mac: "52:54:00:00:00:01"}]\n';
  const renamed = readDefinition(renamedText(text, 'web.yaml', readDefinition(text, { file: 'f' }), 'db'), {
    file: 'db.yaml',
    name: 'db',
  });
  expect(renamed.nics.map(({ mac }) => mac)).toEqual([macAddress('web', 0), '52:54:00:00:00:01']);
});
