import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type CloneDisks, lockCopied, planClone } from '../../../src/definitions/change/clone.ts';
import { isSeedImage, readSeedImage } from '../../../src/definitions/change/read-seed.ts';
import { carryOut } from '../../../src/definitions/create/carry-out.ts';
import { makeSeedImage, SEED_MAKERS } from '../../../src/definitions/create/seed-image.ts';
import { macAddress } from '../../../src/engine/networks/mac-address.ts';
import { lockDisk } from '../../../src/vmm/backends/disk-lock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let root: string;
let disk: string;

beforeEach(() => {
  root = temporaryFolder();
  disk = path.join(root, 'web.raw');
  fs.writeFileSync(disk, 'data');
  fs.truncateSync(disk, 8 * 2 ** 20);
  fs.appendFileSync(disk, 'end');
  fs.writeFileSync(path.join(root, 'vmlinuz'), '');
});

const definition = (more = '') => `# the web server
name: web
machine: {kernel: ${root}/vmlinuz}
disks:
  - file: ${disk}
  - {file: /iso/tools.iso, cdrom: true}
autostart: true
${more}`;

const clone = (text: string, disks: CloneDisks = 'copy', name = 'db') =>
  planClone(text, 'web', name, { disks, folder: path.join(root, 'disks'), instanceId: 'new-id' });

describe('the definition of a clone', () => {
  test('has another name and its own disks, does not start automatically, and keeps comments', () => {
    const { text, definition: cloned, steps } = clone(definition());
    expect(text).toMatch(/^# the web server\nname: db\n/);
    expect(cloned.disks.map(({ file }) => file)).toEqual([`${root}/disks/db.raw`, '/iso/tools.iso']);
    expect(cloned.autostart).toBe(false);
    expect(steps).toEqual([
      { kind: 'copy', file: `${root}/disks/db.raw`, from: disk, size: 8 * 2 ** 20 + 3 },
    ]);
  });

  test('has a copy of the variables of its firmware', () => {
    const own = path.join(root, 'web.fd');
    const variables = { from: own, to: path.join(root, 'db.fd') };
    const options = { folder: path.join(root, 'disks'), instanceId: 'new-id', variables };
    const copies = (text: string, disks: CloneDisks = 'copy') =>
      planClone(text, 'web', 'db', { ...options, disks }).steps.map(step =>
        step.kind === 'copy' ? [step.from, step.file] : [],
      );
    const uefi = 'name: web\nmachine: {firmware: uefi}\n';
    // It has never been started.
    expect(copies(uefi)).toEqual([]);
    fs.writeFileSync(own, 'variables');
    expect(copies(uefi)).toEqual([[own, variables.to]]);
    expect(copies(uefi, 'none')).toEqual([]);
    expect(copies('name: web\nmachine: {kernel: /k}\n')).toEqual([]);
    const elsewhere = path.join(root, 'mine.fd');
    fs.writeFileSync(elsewhere, 'variables');
    const text = `name: web\nmachine: {firmware: uefi, firmware-variables: ${elsewhere}}\n`;
    expect(copies(text)).toEqual([[elsewhere, variables.to]]);
    expect(planClone(text, 'web', 'db', { ...options, disks: 'copy' }).text).not.toContain('variables');
  });

  test('has its own MAC addresses, even if the original sets one', () => {
    const { definition: cloned } = clone(definition('nics: [{mac: "52:54:00:00:00:01"}, {}]'));
    expect(cloned.nics.map(({ mac }) => mac)).toEqual([undefined, undefined]);
  });

  test('shares its disks, or has no writable ones', () => {
    const shared = clone(definition(), 'share');
    expect(shared.steps).toEqual([]);
    expect(shared.definition.disks[0]!.file).toBe(disk);
    expect(shared.warnings).toEqual([`web and db share ${disk}: only one of them can run at a time`]);
    const none = clone(
      definition(`devices: [{type: virtio-blk, path: /data.raw}, {type: virtio-rng}]`),
      'none',
    );
    expect(none.definition.disks.map(({ file }) => file)).toEqual(['/iso/tools.iso']);
    expect(none.definition.devices.map(({ type }) => type)).toEqual(['virtio-rng']);
  });

  test('does not get a device of the host that the original has', () => {
    const cloned = clone(definition('passthrough: [{host: 0000:02:00.0}]\nballoon: true'));
    expect(cloned.definition).toMatchObject({ passthrough: [], balloon: true });
    expect(cloned.warnings).toEqual([
      'db does not get 0000:02:00.0, which web has: give it another device with vring vm edit db',
    ]);
  });

  test.each([
    ['../x', 'cannot be the name of a VM'],
    ['', 'cannot be the name of a VM'],
  ])('is rejected with the name %j', (name, message) => {
    expect(() => clone(definition(), 'copy', name)).toThrow(message);
  });

  test('is refused if a disk cannot be copied', () => {
    fs.rmSync(disk);
    expect(() => clone(definition())).toThrow(`the disk ${disk} does not exist`);
    fs.mkdirSync(disk);
    expect(() => clone(definition())).toThrow('is not a regular file');
    expect(clone(definition(), 'share').steps).toEqual([]);
  });
});

describe('making a clone', () => {
  test('copies the content of a disk, and its holes', async () => {
    const saved: string[] = [];
    await carryOut(clone(definition()), { save: (name, text) => void saved.push(name, text) });
    const copy = path.join(root, 'disks', 'db.raw');
    expect(fs.readFileSync(copy).equals(fs.readFileSync(disk))).toBe(true);
    expect(fs.statSync(copy).blocks * 512).toBeLessThan(4 * 2 ** 20);
    expect(saved[0]).toBe('db');
  });

  test('leaves nothing behind when the definition cannot be saved', async () => {
    const save = () => {
      throw new Error('no space left');
    };
    await expect(carryOut(clone(definition()), { save })).rejects.toThrow('no space left');
    expect(fs.existsSync(path.join(root, 'disks'))).toBe(false);
  });

  test('fails while a disk is in use by a writer', () => {
    const plan = clone(definition());
    lockCopied(plan).release();
    const fd = fs.openSync(disk, 'r+');
    try {
      lockDisk(fd, disk, false);
      expect(() => lockCopied(plan)).toThrow(/in use by/);
    } finally {
      fs.closeSync(fd);
    }
  });
});

const hasMaker = SEED_MAKERS.some(({ command }) =>
  (process.env.PATH ?? '').split(':').some(folder => fs.existsSync(path.join(folder, command))),
);

describe.skipIf(!hasMaker)('a cloud-init seed (needs genisoimage or the like)', () => {
  const files = {
    'meta-data': 'instance-id: old-id\nlocal-hostname: web\n',
    'user-data': '#cloud-config\nusers: [{name: ada}]\n',
    'network-config': `ethernets: {nic0: {match: {macaddress: "${macAddress('web', 0)}"}}}\n`,
  };

  test('is created again, with the instance ID, host name and MAC address of the clone', async () => {
    const seed = path.join(root, 'seed.iso');
    fs.writeFileSync(seed, '');
    await makeSeedImage(seed, files);
    expect(isSeedImage(seed)).toBe(true);
    expect(readSeedImage(seed)).toEqual(files);
    const text = `name: web\ndisks: [{file: ${disk}}, {file: ${seed}, readonly: true}]\nnics: [{}]\n`;
    const { steps, definition: cloned } = clone(text);
    expect(steps[1]).toEqual({
      kind: 'seed',
      file: `${root}/disks/db-seed.iso`,
      files: {
        'meta-data': 'instance-id: "new-id"\nlocal-hostname: "db"\n',
        'user-data': files['user-data'],
        'network-config': files['network-config'].replace(macAddress('web', 0), macAddress('db', 0)),
      },
    });
    expect(cloned.disks[1]!.file).toBe(`${root}/disks/db-seed.iso`);
  });

  test('reading a damaged image fails with a clear message', async () => {
    const seed = path.join(root, 'seed.iso');
    fs.writeFileSync(seed, '');
    await makeSeedImage(seed, files);
    const image = fs.readFileSync(seed);
    for (const keep of [0, 40_000, image.length - 2048]) {
      fs.writeFileSync(seed, image.subarray(0, keep));
      try {
        readSeedImage(seed);
      } catch (error) {
        expect(error).toMatchObject({ name: 'CreateError' });
      }
    }
    for (let round = 0; round < 200; round++) {
      const broken = Buffer.from(image);
      for (let change = 0; change < 8; change++)
        broken[0x8000 + ((round * 7919 + change * 104_729) % (broken.length - 0x8000))] =
          (round * 31 + change * 17) & 255;
      fs.writeFileSync(seed, broken);
      try {
        readSeedImage(seed);
      } catch (error) {
        expect(error).toMatchObject({ name: 'CreateError' });
      }
    }
  });
});
