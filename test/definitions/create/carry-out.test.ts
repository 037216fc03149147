import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { carryOut, checkPlan } from '../../../src/definitions/create/carry-out.ts';
import { createQcow2 } from '../../../src/definitions/create/fill-disk.ts';
import { imageInfo, seenFormat } from '../../../src/definitions/create/image-info.ts';
import { type NewVm, planNewVm } from '../../../src/definitions/create/plan.ts';
import { makeSeedImage, SEED_MAKERS } from '../../../src/definitions/create/seed-image.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
let root: string;
let folder: string;

beforeEach(() => {
  root = temporaryFolder();
  folder = path.join(root, 'state/disks');
  fs.writeFileSync(path.join(root, 'vmlinuz'), 'kernel');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const has = (command: string) => {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const plan = (vm: Partial<NewVm> = {}) =>
  planNewVm(
    {
      name: 'web',
      source: { kind: 'kernel', kernel: path.join(root, 'vmlinuz') },
      diskSize: 64 * MiB,
      ...vm,
    },
    folder,
    'i-1',
  );
const cloud = (file: string): Partial<NewVm> => ({
  source: {
    kind: 'cloud',
    image: imageInfo(file),
    user: { name: 'ada', sshKeys: [], passwordHash: '$6$salt$hash' },
    network: { kind: 'dhcp' },
  },
});
/** A disk with something at its start, a hole, and something at its end. */
const rawImage = () => {
  const file = path.join(root, 'cloud.img');
  const content = Buffer.alloc(4 * MiB);
  content.write('start', 0);
  content.write('end', content.length - 3);
  fs.writeFileSync(file, content);
  return { file, content };
};
const everything = () =>
  (fs.readdirSync(root, { recursive: true }) as string[])
    .filter(name => !/^(vmlinuz|cloud\.(img|qcow2))$/.test(name))
    .sort();

test('a disk is created, then the definition is saved', async () => {
  const saved: string[] = [];
  const seen: string[] = [];
  const made = plan();
  await carryOut(made, {
    save: (name, text) => void saved.push(name, text),
    progress: (step, share) => seen.push(`${step.kind} ${share}`),
  });
  expect(saved).toEqual(['web', made.text]);
  expect(seen).toEqual(['disk 0', 'disk 1']);
  const stats = fs.statSync(path.join(folder, 'web.img'));
  expect(stats.size).toBe(64 * MiB);
  expect(stats.blocks).toBe(0);
  expect(stats.mode & 0o777).toBe(0o600);
  expect(fs.statSync(folder).mode & 0o777).toBe(0o700);
});

test('existing files are not overwritten', async () => {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'web.img'), 'precious');
  const message = `${folder}/web.img already exists: choose another name, or move it away`;
  expect(checkPlan(plan()).problems).toEqual([message]);
  await expect(carryOut(plan(), { save: () => {} })).rejects.toThrow(message);
  expect(fs.readFileSync(path.join(folder, 'web.img'), 'utf8')).toBe('precious');
});

describe('created files are removed', () => {
  test('when the definition is refused', async () => {
    const failing = carryOut(plan(), {
      save: () => {
        throw new Error('web already');
      },
    });
    await expect(failing).rejects.toThrow('web already');
    expect(everything()).toEqual([]);
  });

  test('but not files that others put next to them', async () => {
    const failing = carryOut(plan(), {
      save: () => {
        fs.writeFileSync(path.join(folder, 'other.img'), '');
        throw new Error('no');
      },
    });
    await expect(failing).rejects.toThrow('no');
    expect(everything()).toEqual(['state', 'state/disks', 'state/disks/other.img']);
  });

  test('when no program can create the seed', async () => {
    const made = plan(cloud(rawImage().file));
    vi.stubEnv('PATH', '/nowhere');
    await expect(carryOut(made, { save: () => {} })).rejects.toThrow(
      'a cloud image needs a program that creates CD images: install the package genisoimage or xorriso, then try again',
    );
    expect(everything()).toEqual([]);
  });

  test('when it is aborted', async () => {
    const controller = new AbortController();
    const failing = carryOut(plan(cloud(rawImage().file)), {
      save: () => {},
      signal: controller.signal,
      progress: () => controller.abort(),
    });
    await expect(failing).rejects.toThrow(/abort/i);
    expect(everything()).toEqual([]);
  });

  test('when the disk is full', async () => {
    const full = vi.spyOn(fs, 'truncateSync').mockImplementation(() => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
    const failing = carryOut(plan(), { save: () => {} });
    await expect(failing).rejects.toThrow(
      /web\.img cannot be written: its file system is full: free some space, then try again/,
    );
    full.mockRestore();
    expect(everything()).toEqual([]);
  });
});

describe('space and files are checked first', () => {
  test('a kernel that does not exist', () =>
    expect(checkPlan(plan({ source: { kind: 'kernel', kernel: '/nowhere/vmlinuz' } })).problems).toEqual([
      '/nowhere/vmlinuz does not exist: correct the path',
    ]));

  test('a disk that could outgrow its file system', () => {
    const { problems, warnings } = checkPlan(plan({ diskSize: 2 ** 50 }));
    expect(problems).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(/\/state\/disks has \d+[KMGT] free, less than the disk may grow to, 1024T$/),
    ]);
  });

  test('an image that does not fit', () => {
    const spy = vi
      .spyOn(fs, 'statfsSync')
      .mockReturnValue({ bavail: 1, bsize: 2 ** 20 } as unknown as ReturnType<typeof fs.statfsSync>);
    const { problems } = checkPlan(plan(cloud(rawImage().file)));
    spy.mockRestore();
    expect(problems).toEqual([
      expect.stringMatching(/disks has 1M free, and the image needs 4M: free some space$/),
    ]);
  });
});

const maker = SEED_MAKERS.find(({ command }) => has(command));

test.skipIf(maker === undefined)(
  'a raw cloud image becomes a disk with its holes, and a seed (needs genisoimage or the like)',
  async () => {
    const { file, content } = rawImage();
    await carryOut(plan(cloud(file)), { save: () => {} });
    const disk = fs.readFileSync(path.join(folder, 'web.img'));
    expect(disk.length).toBe(64 * MiB);
    expect(disk.subarray(0, content.length).equals(content)).toBe(true);
    expect(fs.statSync(path.join(folder, 'web.img')).blocks * 512).toBeLessThan(3 * MiB);
    const seed = path.join(folder, 'web-seed.iso');
    expect(imageInfo(seed).format).toBe('iso');
    expect(fs.statSync(seed).mode & 0o777).toBe(0o600);
  },
);

describe('each program that creates seed images', () => {
  for (const each of SEED_MAKERS) {
    test.skipIf(!has(each.command))(`${each.command} (if it is installed)`, async () => {
      const out = path.join(root, 'seed.iso');
      await makeSeedImage(
        out,
        { 'meta-data': 'a: 1\n', 'user-data': '#cloud-config\n', 'network-config': 'version: 2\n' },
        undefined,
        [each],
      );
      await makeSeedImage(
        path.join(root, 'small.iso'),
        { 'meta-data': 'a: 1\n', 'user-data': '' },
        undefined,
        [each],
      );
      const image = fs.readFileSync(out);
      // The volume's identifier (ECMA-119 8.4.7).
      expect(image.toString('latin1', 0x8028, 0x8048).trim().toUpperCase()).toBe('CIDATA');
      for (const text of ['a: 1\n', '#cloud-config\n', 'version: 2\n'])
        expect(image.includes(text)).toBe(true);
    });
  }

  test('reports a full file system as such', async () => {
    const full = [
      { command: 'sh', args: () => ['-c', 'echo "sh: No space left on device. fwrite" >&2; exit 3'] },
    ];
    const failing = makeSeedImage('/nowhere/x', { 'meta-data': '' }, undefined, full);
    await expect(failing).rejects.toMatchObject({ code: 'ENOSPC', path: '/nowhere/x' });
  });

  test('reports why it failed', async () => {
    const failing = makeSeedImage('/nowhere/x', { 'meta-data': '' }, undefined, [
      { command: 'sh', args: () => ['-c', 'echo trying >&2; echo no such disc >&2; exit 3'] },
    ]);
    await expect(failing).rejects.toThrow('sh could not create /nowhere/x: no such disc');
  });
});

describe('qcow2', () => {
  const qcow2 = () => {
    const { file, content } = rawImage();
    const out = path.join(root, 'cloud.qcow2');
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', file, out]);
    return { out, content };
  };

  test.skipIf(!has('qemu-img') || maker === undefined)('becomes a raw disk (needs qemu-img)', async () => {
    const { out, content } = qcow2();
    expect(imageInfo(out)).toEqual({ file: out, format: 'qcow2', size: 4 * MiB, needsOthers: false });
    await carryOut(plan(cloud(out)), { save: () => {} });
    const disk = fs.readFileSync(path.join(folder, 'web.img'));
    expect(disk.length).toBe(64 * MiB);
    expect(disk.subarray(0, content.length).equals(content)).toBe(true);
  });

  test.skipIf(!has('qemu-img'))('with a backing file is refused (needs qemu-img)', () => {
    const { out } = qcow2();
    const overlay = path.join(root, 'overlay.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', out, overlay]);
    expect(() => plan(cloud(overlay))).toThrow('is only part of a disk');
  });

  test('without qemu-img names the package', async () => {
    const header = Buffer.alloc(512);
    header.writeUInt32BE(0x514649fb, 0);
    header.writeUInt32BE(3, 4);
    header.writeBigUInt64BE(BigInt(MiB), 24);
    const file = path.join(root, 'cloud.qcow2');
    fs.writeFileSync(file, header);
    const made = plan(cloud(file));
    vi.stubEnv('PATH', '/nowhere');
    await expect(carryOut(made, { save: () => {} })).rejects.toThrow(
      `${file} is a qcow2 image, which qemu-img converts to a raw disk: install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora), then try again`,
    );
    expect(everything()).toEqual([]);
  });

  test.skipIf(!has('qemu-img'))('that is damaged is refused (needs qemu-img)', async () => {
    const { out } = qcow2();
    const file = fs.openSync(out, 'r+');
    // The offset of the L1 table (docs/interop/qcow2.rst) is that of no cluster.
    fs.writeSync(file, Buffer.from([0x12, 0x34]), 0, 2, 46);
    fs.closeSync(file);
    await expect(carryOut(plan(cloud(out)), { save: () => {} })).rejects.toThrow(
      `qemu-img could not convert ${out}: `,
    );
    expect(everything()).toEqual([]);
  });
});

test('the format that a file appears to have', () => {
  expect(seenFormat(path.join(root, 'vmlinuz'))).toBe('raw');
  expect(seenFormat('/nowhere')).toBeNull();
  const file = path.join(root, 'x');
  const header = Buffer.alloc(512);
  header.writeUInt32BE(0x514649fb, 0);
  header.writeBigUInt64BE(BigInt(MiB), 24);
  fs.writeFileSync(file, header);
  expect(seenFormat(file)).toBe('qcow2');
});

describe('files that are not images', () => {
  test.each([
    ['/nowhere/x.img', 'the image /nowhere/x.img cannot be opened: it does not exist: correct the path'],
    ['/', 'the image / is not a regular file: name a disk image'],
  ])('%s', (file, message) => expect(() => imageInfo(file)).toThrow(message));

  test('empty, or damaged', () => {
    const file = path.join(root, 'x');
    fs.writeFileSync(file, '');
    expect(() => imageInfo(file)).toThrow(`the image ${file} is empty: was it downloaded in full?`);
    const header = Buffer.alloc(512);
    header.writeUInt32BE(0x514649fb, 0);
    fs.writeFileSync(file, header);
    expect(() => imageInfo(file)).toThrow(`the image ${file} is damaged: its header gives a size of 0 bytes`);
  });
});

test('a qcow2 disk is made by qemu-img, over an image', async () => {
  const folder = temporaryFolder();
  const [base, disk] = ['base.img', 'disk.qcow2'].map(name => path.join(folder, name)) as [string, string];
  fs.writeFileSync(base, Buffer.alloc(2 ** 20, 7));
  fs.writeFileSync(disk, '');
  await createQcow2(disk, 2 ** 21, { file: base, format: 'raw' });
  expect(imageInfo(disk)).toMatchObject({ format: 'qcow2', size: 2 ** 21, needsOthers: true });
  await expect(createQcow2(disk, 2 ** 21, { file: '/none', format: 'raw' })).rejects.toThrow(
    `qemu-img could not create ${disk}`,
  );
});
