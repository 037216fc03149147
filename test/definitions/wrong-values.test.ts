import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { keyProblems } from '../../src/definitions/issues.ts';
import { definitionJsonSchema } from '../../src/definitions/json-schema.ts';
import { definition } from '../../src/definitions/schema.ts';
import { deviceTable } from '../../src/devices/registry.ts';

const WRONG = [{}, [], 1.5, 'zz', '', true, -1, null, { zz: 1 }, ['zz'], [{}]];

/** The problems of a VM with these keys. */
function problems(keys: object): { path: string; message: string }[] {
  const value = { name: 'web', ...keys };
  const { error } = definition.safeParse(value, { reportInput: true });
  return keyProblems(error?.issues ?? [], value).map(({ path, message }) => ({
    path: path.join('.'),
    message,
  }));
}

type Node = { properties?: Record<string, Node>; items?: Node; anyOf?: Node[]; oneOf?: Node[] };
type Path = readonly (string | number)[];

/** The paths of all keys below a schema. */
function keysOf(node: Node, above: Path = []): Path[] {
  return (node.anyOf ?? node.oneOf ?? [node]).flatMap(({ properties = {}, items }) => [
    ...Object.entries(properties).flatMap(([key, value]) => [
      [...above, key],
      ...keysOf(value, [...above, key]),
    ]),
    ...(items === undefined ? [] : keysOf(items, [...above, 0])),
  ]);
}

function atPath(path: Path, value: unknown): object {
  const nested = path.reduceRight(
    (inner, key) => (typeof key === 'number' ? [inner] : { [key]: inner }),
    value,
  );
  return nested as object;
}

test('the problem at a key says what was expected', () => {
  const paths = keysOf(definitionJsonSchema() as Node).filter(([key]) => key !== 'devices');
  let found = 0;
  for (const path of paths) {
    for (const value of WRONG) {
      for (const { path: at, message } of problems(atPath(path, value))) {
        found++;
        expect(message, at).not.toMatch(/expected (expected|,|$)|undefined|\[object|Invalid/);
        expect(at, message).toMatch(new RegExp(`^${path[0]}\\b`));
      }
    }
  }
  expect(found).toBeGreaterThan(1000);
});

describe.each(deviceTable.configurable.map(row => ({ type: row.type, row })))(
  'a device $type',
  ({ type, row }) => {
    const { properties } = z.toJSONSchema(row.config(z), { io: 'input', unrepresentable: 'any' });
    const options = Object.keys(properties!).filter(key => key !== 'type');

    test.each(options)('with a wrong %s has the problem at that key', option => {
      const found = WRONG.flatMap(value => problems({ devices: [{ type, [option]: value }] })).filter(
        ({ path }) => path.startsWith(`devices.0.${option}`),
      );
      expect(found).not.toEqual([]);
      for (const value of WRONG) {
        const at = problems({ devices: [{ type, [option]: value }] }).map(({ path }) => path);
        expect(at).not.toContain('devices.0.type');
      }
    });
  },
);

test.each([
  [{ numa: [{ memory: 'zz' }] }, 'numa.0.memory', 'expected a size such as 512M or 2G, not "zz"'],
  [
    { nics: [{ romfile: 1.5 }] },
    'nics.0.romfile',
    'expected an absolute path, or nothing for no ROM, not 1.5',
  ],
  [
    { machine: { smbios: { bios: { vendor: '' } } } },
    'machine.smbios.bios.vendor',
    'expected text that is not empty, not ""',
  ],
])('%j', (keys, path, message) => {
  expect(problems(keys)).toContainEqual({ path, message });
});
