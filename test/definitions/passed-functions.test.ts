import { expect, test } from 'vitest';
import { passedFunctions } from '../../src/definitions/passed-functions.ts';
import { requestOf } from '../../src/definitions/passthrough-request.ts';
import { readDefinition } from '../../src/definitions/read.ts';
import { askedFor, toMachine } from '../../src/definitions/to-machine.ts';
import { functionsOfHostSlot } from '../../src/host/pci/slot-functions.ts';
import { desktopTree } from '../host/trees/desktop.ts';
import { serverTree } from '../host/trees/server.ts';

const entries = (text: string) =>
  readDefinition(`name: web\npassthrough: [${text}]`, { file: 'web.yaml' }).passthrough;

test('a device becomes its functions, in one slot; options of a single function apply to the first', () => {
  const tree = desktopTree();
  const root = tree.root();
  const [gpu, ...others] = passedFunctions(
    entries('{host: 01:00, addr: "05", romfile: /gpu.rom, x-vga: true, rombar: false, keep: true}'),
    slot => functionsOfHostSlot(root, slot),
  );
  tree.remove();
  const all = { multifunction: true, rombar: false, keep: true };
  expect(gpu).toEqual({
    index: 0,
    device: { host: '0000:01:00.0', addr: '05.0', romfile: '/gpu.rom', 'x-vga': true, ...all },
  });
  expect(others.map(({ device }) => device)).toEqual(
    [1, 2, 3].map(fn => ({ host: `0000:01:00.${fn}`, addr: `05.${fn}`, ...all })),
  );
});

test('virtual functions are not part of a device, even in its slot', () => {
  const tree = serverTree();
  const root = tree.root();
  expect(functionsOfHostSlot(root, '0000:3b:00')).toEqual([0, 1, 2, 3].map(fn => `0000:3b:00.${fn}`));
  expect(functionsOfHostSlot(root, '0000:3b:0a')).toEqual([]);
  tree.remove();
});

test('a missing device is treated as its first function, which the start checks', () => {
  expect(passedFunctions(entries('{host: 7f:00}, {host: 02:00.1}'), () => [])).toEqual([
    { index: 0, device: { host: '0000:7f:00.0', multifunction: true } },
    { index: 1, device: { host: '0000:02:00.1' } },
  ]);
});

test('settings of a virtual function are for the host, not the machine', () => {
  const definition = readDefinition(
    'name: web\npassthrough: [{host: 01:10.0, vlan: 42, qos: 3, trust: true, spoof-check: false}]',
    { file: 'web.yaml' },
  );
  const settings = { vlan: 42, qos: 3, trust: true, spoofCheck: false };
  expect(requestOf(definition).options).toEqual({ '0000:01:10.0': settings });
  const [wanted] = askedFor(definition).hostDevices;
  expect(wanted).toMatchObject({ address: '0000:01:10.0', settings });
  const passed = toMachine(definition).devices!.find(({ type }) => type === 'vfio-pci');
  for (const key of ['mac', 'vlan', 'qos', 'trust', 'spoof-check']) expect(passed).not.toHaveProperty(key);
});
