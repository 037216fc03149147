import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { projectRoot } from '../../../src/project-root.ts';
import { loadDeviceModules, placeIn, reasonOf } from '../../../src/vmm/machine/device-modules.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folder = temporaryFolder();

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const HEAD = `import { defineDevice, PciFunction, type MachineServices } from 'vring/device';`;
const BODY = `title: 't', description: 'd', bus: 'pci'`;
const CREATE = `const pci = new PciFunction(name, { vendor: 1, device: ID, revision: 0, classCode: 0 });
  return { device: { name, reset() {}, save: () => ({}), load() {} }, pci };`;

test('a TypeScript file is loaded with its imports, and uses the classes of this program', () => {
  file('ids.ts', 'export const ID: number = 0x77;');
  const path = file(
    'one.ts',
    `${HEAD}\nimport { ID } from './ids.ts';
export default defineDevice({ type: 'one', ${BODY}, create(services: MachineServices, _, name) { ${CREATE} } });`,
  );
  const [row] = loadDeviceModules([path]);
  const { pci } = row!.create(new FakeMachine().services, { type: 'one' }, 'one0');
  expect(pci).toBeInstanceOf(PciFunction);
  expect(pci!.config.u16(2)).toBe(0x77);
});

test('the example and a JavaScript file are loaded', () => {
  const example = join(projectRoot(), 'examples/device/tick-counter.ts');
  const script = file(
    'two.mjs',
    `import { defineDevice } from 'vring/device';\nexport default defineDevice({ type: 'two', ${BODY}, create() {} });`,
  );
  expect(loadDeviceModules([example, script]).map(({ type }) => type)).toEqual(['tick-counter', 'two']);
});

test.each([
  ['missing.ts', null, 'there is no such file'],
  ['syntax.ts', 'const a = 1;\nconst b: number = ;', /Expression expected \(syntax\.ts:2\)/],
  ['enum.ts', 'enum Color { red }\nexport default {};', /enum/i],
  ['import.ts', `import './nowhere.ts';`, /Cannot find module .*nowhere\.ts/],
  ['throws.ts', `const none: any = null;\nexport default none.type;`, /reading 'type'.* \(throws\.ts:2\)/],
])('%s cannot be loaded, with the reason', (name, text, reason) => {
  const path = text === null ? join(folder, name) : file(name, text);
  const load = () => loadDeviceModules([path]);
  expect(load).toThrow(`device module ${path} cannot be loaded: `);
  expect(load).toThrow(reason);
});

test('types are unique, and files are listed once', () => {
  const of = (name: string, type: string) =>
    file(name, `${HEAD}\nexport default defineDevice({ type: '${type}', ${BODY}, create() {} });`);
  const [a, b, own] = [of('a.ts', 'same'), of('b.ts', 'same'), of('own.ts', 'virtio-blk')];
  expect(() => loadDeviceModules([a, b])).toThrow(`device modules ${a} and ${b} both add`);
  expect(() => loadDeviceModules([a, a])).toThrow(`device module ${a} is listed twice`);
  expect(() => loadDeviceModules([own])).toThrow('vring has a device of type "virtio-blk" itself');
  expect(() => loadDeviceModules([folder])).toThrow('cannot be loaded: it is not a file');
});

test('a file without the right export is rejected with what is missing', () => {
  expect(() => loadDeviceModules([file('other.ts', 'export default 7;')])).toThrow('is not a device module');
});

test('the location of an error is the innermost line in one of the files', () => {
  const path = file(
    'late.ts',
    `${HEAD}\nfunction inner(): never {\n  throw new Error('late');\n}
export default defineDevice({ type: 'late', ${BODY}, create() { return inner(); } });`,
  );
  const [row] = loadDeviceModules([path]);
  let thrown: unknown;
  try {
    row!.create(new FakeMachine().services, { type: 'late' }, 'late0');
  } catch (error) {
    thrown = error;
  }
  expect(placeIn(thrown, [path])).toBe('late.ts:3');
  expect(placeIn(thrown, [join(folder, 'other.ts')])).toBeNull();
  expect(placeIn('no error', [path])).toBeNull();
  expect(reasonOf(thrown, [path])).toBe('late.ts:3: late');
  expect(reasonOf(thrown, [])).toBe('late');
  expect(reasonOf(null, [path])).toBe('null');
});
