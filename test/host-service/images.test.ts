import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, expect, test } from 'vitest';
import { DefinitionStore } from '../../src/definitions/store.ts';
import { ImageReader } from '../../src/host-service/images.ts';

let folder: string;
let state: string;
let reader: ImageReader;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vring-images-'));
  state = join(folder, 'state');
  for (const name of ['state/disks', 'vms', 'srv']) mkdirSync(join(folder, name), { recursive: true });
  reader = new ImageReader(state, new DefinitionStore(join(folder, 'vms')));
  return () => rmSync(folder, { recursive: true });
});

function raw(name: string, bytes = 1 << 20): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

function define(name: string, ...disks: string[]): void {
  const lines = disks.map(disk => `  - ${disk}\n`).join('');
  writeFileSync(
    join(folder, 'vms', `${name}.yaml`),
    `name: ${name}\nmachine:\n  kernel: /boot/vmlinuz\nmemory: 64M\ndisks:\n${lines}`,
  );
}

test('images are those of definitions, others in the same folders, and those in the folder of new disks', async () => {
  const web = raw('srv/web', 2 << 20);
  const beside = raw('srv/beside.img');
  raw('srv/notes.txt');
  raw('srv/.hidden.img');
  const fresh = raw('state/disks/fresh');
  const given = raw('vms/given.raw');
  define('web', `file: ${web}`);
  define('web-2', `file: ${web}`, `file: ${join(folder, 'srv/gone.img')}`);
  writeFileSync(join(folder, 'vms', 'bad.yaml'), 'memory: much\n');
  const { images, problems } = await reader.read([given]);
  expect(images.map(({ path }) => path)).toEqual(
    [beside, join(folder, 'srv/gone.img'), web, fresh, given].sort(),
  );
  const of = (path: string) => images.find(image => image.path === path);
  expect(of(web)).toMatchObject({ format: 'raw', size: 2 << 20, definedIn: ['web', 'web-2'] });
  expect(of(beside)).toMatchObject({ size: 1 << 20, definedIn: [], problems: [] });
  expect(of(join(folder, 'srv/gone.img'))).toMatchObject({
    ...{ format: null, size: null, definedIn: ['web-2'] },
    problems: [`${join(folder, 'srv/gone.img')} cannot be opened: no such file or directory (ENOENT)`],
  });
  expect(problems).toEqual([]);
});

test('an image has the format that its definition gives it, and its chain', async () => {
  const base = join(folder, 'srv', 'base.qcow2');
  const overlay = join(folder, 'srv', 'overlay.qcow2');
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', base, '8M']);
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', overlay]);
  await execa('qemu-img', ['snapshot', '-c', 'before', overlay]);
  define('web', `{ file: ${overlay}, format: qcow2 }`);
  define('odd', `{ file: ${base}, format: raw }`);
  const { images } = await reader.read([]);
  expect(images).toMatchObject([
    { path: base, format: 'raw', definedIn: ['odd'] },
    {
      ...{ path: overlay, format: 'qcow2', size: 8 << 20, definedIn: ['web'] },
      backing: [{ path: base, format: 'qcow2' }],
      snapshots: [{ name: 'before' }],
    },
  ]);
});

test('an image that qemu-img reads is read again when it has changed', async () => {
  const disk = join(folder, 'srv', 'disk.vmdk');
  await execa('qemu-img', ['create', '-q', '-f', 'vmdk', disk, '8M']);
  const size = async () => (await reader.read([disk])).images[0]!.size;
  expect([await size(), await size()]).toEqual([8 << 20, 8 << 20]);
  await execa('qemu-img', ['create', '-q', '-f', 'vmdk', disk, '16M']);
  expect(await size()).toBe(16 << 20);
});
