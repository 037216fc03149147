import { afterEach, expect, test } from 'vitest';
import { planBind } from '../../../src/host/plan/bind.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';

const gpu = '0000:01:00.0';
const port = '0000:00:01.0';

let tree: TreeBuilder;
afterEach(() => tree.remove());

async function response(address: string): Promise<string[]> {
  const survey = await readSurvey(tree.root());
  const plan = planBind(survey, { addresses: [address], driver: 'vfio-pci', wholeGroup: false });
  return plan.checks
    .filter(check => check.code === 'response')
    .map(({ level, reason }) => `${level}: ${reason}`);
}

function attributes(address: string, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values))
    tree.file(`${tree.pathOf(address)}/${name}`, `${value}\n`);
}

test('a function that responds has no finding', async () => {
  tree = desktopTree();
  attributes(gpu, { enable: '1', 'power/runtime_status': 'active' });
  expect(await response(gpu)).toEqual([]);
});

test('all ones mean that a function is gone from the bus; so is everything below a missing bridge', async () => {
  tree = desktopTree();
  tree.file(`${tree.pathOf(gpu)}/config`, Buffer.alloc(4096, 0xff));
  expect(await response(gpu)).toEqual([expect.stringMatching(/^block: it does not respond/)]);
  tree.remove();
  tree = desktopTree();
  tree.file(`${tree.pathOf(port)}/config`, Buffer.alloc(4096, 0xff));
  expect(await response(gpu)).toEqual([
    expect.stringMatching(/^block: the bridge 0000:00:01.0 above it does not respond/),
  ]);
});

test('an invalid header type means that a device vanished during the read', async () => {
  tree = desktopTree();
  const config = Buffer.alloc(4096, 0xff);
  config.writeUInt32LE(0x1e8710de, 0);
  config.writeUInt32LE(0x00100007, 4);
  tree.file(`${tree.pathOf(gpu)}/config`, config);
  expect(await response(gpu)).toEqual([expect.stringMatching(/^block: it does not respond/)]);
});

test('the ids of a VF read as all ones; it is gone if its physical function is', async () => {
  tree = serverTree();
  expect(await response('0000:3b:0a.1')).toEqual([]);
  tree.file(`${tree.pathOf('0000:3b:00.2')}/config`, Buffer.alloc(4096, 0xff));
  expect(await response('0000:3b:0a.1')).toEqual([
    expect.stringMatching(/^block: its physical function 0000:3b:00.2 does not respond/),
  ]);
});

test.each([
  ['asleep after a runtime suspend', { power_state: 'D3cold', 'power/runtime_status': 'suspended' }, null],
  ['asleep, and the kernel does not say why', { power_state: 'D3cold' }, null],
  [
    'in use, but without power',
    { power_state: 'D3cold', 'power/runtime_status': 'active' },
    'block: it is in D3cold although its driver is active',
  ],
  ['could not be woken', { 'power/runtime_status': 'error' }, 'warn: its power management failed'],
  [
    'bound and disabled',
    { enable: '0', 'power/runtime_status': 'active' },
    'warn: nouveau is bound, but the device is disabled',
  ],
  ['disabled while suspended', { enable: '0', 'power/runtime_status': 'suspended' }, null],
])('%s', async (_, values, text) => {
  tree = desktopTree();
  attributes(gpu, values);
  expect(await response(gpu)).toEqual(text === null ? [] : [expect.stringContaining(text)]);
});

test('without config space, it is unknown', async () => {
  tree = desktopTree();
  tree.removePath(`${tree.pathOf(gpu)}/config`);
  expect(await response(gpu)).toEqual([expect.stringMatching(/^warn: cannot tell whether it responds/)]);
});
