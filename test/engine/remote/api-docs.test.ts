import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { CODE, PROTOCOL } from '../../../src/engine/remote/protocol.ts';
import { notificationSchemas, requestSchemas } from '../../../src/engine/remote/request-schemas.ts';
import { Rig } from '../../support/remote-rig.ts';

const PAGE = readFileSync('docs/api.md', 'utf8');
const IDLE = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] } as const;

/** The paragraph of the page that begins with this text. */
const paragraph = (start: string) => PAGE.slice(PAGE.indexOf(start)).split('\n\n')[0]!;

/** The first block of code in that language. */
const example = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(PAGE)![1]!;

/** The words in `code` of a text. */
const codes = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

/** The rows of the page's tables, by each word in `code` of their first cell. */
const rows = new Map(
  PAGE.split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split('|').slice(1, -1))
    .flatMap(([first, ...cells]) => codes(first!).map(word => [word, cells] as const)),
);

/** All names of keys and values in a JSON schema. */
function namesIn(schema: unknown): string[] {
  if (typeof schema === 'string') return [schema];
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => [key, ...namesIn(value)]);
}

test.each(Object.entries({ ...requestSchemas, ...notificationSchemas }))(
  'docs/api.md documents %s with its parameters',
  (method, schema) => {
    const cells = rows.get(method);
    expect(cells).toBeDefined();
    const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    const documented = codes(cells![0]!);
    expect(documented).toEqual(expect.arrayContaining(Object.keys(json.properties ?? {})));
    const known = new Set(namesIn(json));
    // Remarks in parentheses may name other things.
    const parameters = codes(cells![0]!.replace(/\([^)]*\)/g, ''));
    expect(parameters.filter(word => /^[\w-]+$/.test(word) && !known.has(word))).toEqual([]);
  },
);

test('docs/api.md documents no other requests, and every error', () => {
  const methods = new Set(Object.keys({ ...requestSchemas, ...notificationSchemas }));
  for (const method of notifications.keys()) methods.add(method);
  const documented = [...rows.keys()].filter(word => word.includes('/'));
  expect(documented.filter(method => !methods.has(method))).toEqual([]);
  for (const code of Object.values(CODE)) expect(PAGE).toContain(`| ${code} |`);
  expect(PAGE).toContain(`this page describes ${PROTOCOL}`);
});

/** The source of the protocol's types, and the path of the file. */
const PROTOCOL_FILE = 'src/engine/remote/protocol.ts';
const protocol = readFileSync(PROTOCOL_FILE, 'utf8');

/** The fields of an object type that the protocol defines or imports; null if it is no object type. */
function fieldsOf(type: string): string[] | null {
  const imported = new RegExp(`import type \\{[^}]*\\b${type}\\b[^}]*\\} from '(.*)'`).exec(protocol);
  const source =
    imported === null ? protocol : readFileSync(join(dirname(PROTOCOL_FILE), imported[1]!), 'utf8');
  const [, lines, line] =
    new RegExp(`export type ${type} = \\{(?:\n(.*?)\n\\};| ([^\n]*) \\};)`, 's').exec(source) ?? [];
  const fields = lines?.matchAll(/^ {2}readonly (\w+)\??:/gm) ?? line?.matchAll(/readonly (\w+)\??:/g);
  return fields === undefined ? null : Array.from(fields, ([, name]) => name!);
}

/** The body of a protocol type. */
const bodyOf = (type: string) =>
  new RegExp(`export type ${type} = \\{\n(.*?)\n\\};`, 's').exec(protocol)![1]!;

/** The manager's notifications, with the names of their parameters. */
const notifications = new Map(
  [...bodyOf('ManagerNotifications').matchAll(/^ {2}'?([\w/]+)'?: (.*?;)$/gms)].map(([, method, type]) => [
    method!,
    [...type!.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name!),
  ]),
);

/** The requests whose results are objects, with the fields of those. */
const results = [...bodyOf('Requests').matchAll(/^ {2}'?([\w/]+)'?: \[.*, (\w+)(?: \| null)?\];$/gm)].flatMap(
  ([, method, type]) => {
    const fields = fieldsOf(type!);
    return fields === null ? [] : [[method!, type!, fields] as const];
  },
);

test.each([...notifications])(
  "docs/api.md documents the manager's %s with its parameters",
  (method, parameters) => {
    expect(codes(rows.get(method)![0]!)).toEqual(expect.arrayContaining(parameters));
  },
);

test.each(results)('docs/api.md documents the result of %s: %s', (method, type, fields) => {
  const text = type === 'SnapshotInfo' ? paragraph('A **snapshot** has') : rows.get(method)![1]!;
  expect(codes(text)).toEqual(expect.arrayContaining(fields));
});

test('docs/api.md documents exactly the fields of a VM, and those of a log entry', () => {
  const table = PAGE.slice(PAGE.indexOf('A **VM** has'), PAGE.indexOf('A **snapshot** has'));
  const documented = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => codes(cell!));
  expect(documented.toSorted()).toEqual(fieldsOf('VmInfo')!.toSorted());
  expect(codes(paragraph('A **log entry** has'))).toEqual(expect.arrayContaining(fieldsOf('LogEntry')!));
});

test('the Python example lists the VMs', async () => {
  const rig = await Rig.start();
  rig.engine.add('web', IDLE);
  rig.engine.add('db', IDLE, { state: 'paused' });
  const env = { VRING_RUNTIME_DIR: dirname(rig.path) };
  const { stdout } = await execa('python3', ['-c', example('python')], { env, timeout: 20_000 });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\nweb running\ndb paused$/);
});

test('the shell example lists the VMs (needs socat)', async context => {
  const { failed } = await execa('socat', ['-V'], { reject: false });
  context.skip(failed, 'socat is not installed');
  const rig = await Rig.start();
  rig.engine.add('web', IDLE);
  const script = example('sh').replace('/run/vring/control.sock', rig.path);
  const { stdout } = await execa('bash', ['-c', script], { timeout: 20_000 });
  expect(stdout).toContain('"name":"web"');
});
