import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { definitionsFolder } from '../../src/definitions/folder.ts';
import { DefinitionStore } from '../../src/definitions/store.ts';
import type { Definitions } from '../../src/engine/definitions.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let root: string;
let folder: string;
let store: DefinitionStore;

beforeEach(() => {
  root = temporaryFolder();
  folder = path.join(root, 'etc/vms');
  store = new DefinitionStore(folder);
});

const put = (file: string, text: string) => {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, file), text);
};

const fine = { problem: null, blockers: [] };

/** A definition's keys for a kernel that exists. */
const bootable = () => {
  const kernel = path.join(root, 'vmlinuz');
  fs.writeFileSync(kernel, '');
  return `machine: {kernel: ${kernel}}`;
};

test('implements what an engine needs', () => {
  const definitions: Definitions = store;
  expect(definitions.list()).toEqual([]);
});

describe('the folder of definitions', () => {
  test.each([
    [{ VRING_DEFINITIONS_DIR: '/srv/vms', HOME: '/home/ada' }, 0, '/srv/vms'],
    [{ HOME: '/root' }, 0, '/etc/vring/vms'],
    [{ HOME: '/home/ada' }, 1000, '/home/ada/.config/vring/vms'],
    [{ HOME: '/home/ada', XDG_CONFIG_HOME: '/cfg' }, 1000, '/cfg/vring/vms'],
    [{ HOME: '/home/ada', XDG_CONFIG_HOME: 'relative' }, 1000, '/home/ada/.config/vring/vms'],
    [{ HOME: 'relative' }, 1000, `${os.userInfo().homedir}/.config/vring/vms`],
    [{}, 1000, `${os.userInfo().homedir}/.config/vring/vms`],
    [
      { HOME: '/home/ada', XDG_CONFIG_HOME: '', VRING_DEFINITIONS_DIR: '' },
      1000,
      '/home/ada/.config/vring/vms',
    ],
  ])('is %j for user %i', (env, uid, expected) => expect(definitionsFolder(env, uid)).toBe(expected));
});

describe('the list', () => {
  test('contains every definition by name, and nothing else', () => {
    put('web.yaml', `name: web\nmemory: 1G\ncpus: 2\nautostart: true\non-crash: restart\n${bootable()}`);
    put('db.yaml', `name: db\n${bootable()}`);
    for (const file of ['web.yaml~', '.web.yaml.1.new', 'README', '.hidden.yaml']) put(file, 'name: web');
    const devices = [expect.objectContaining({ name: 'rng0', type: 'virtio-rng' })];
    expect(store.list()).toEqual([
      { name: 'db', ...fine, vcpus: 1, memoryBytes: 2 ** 28, autostart: false, onCrash: 'keep', devices },
      { name: 'web', ...fine, vcpus: 2, memoryBytes: 2 ** 30, autostart: true, onCrash: 'restart', devices },
    ]);
  });

  /** The sizes of the disks of `web`, by the names of their files. */
  const sizes = () => {
    const { devices = [] } = store.list()[0]!;
    return Object.fromEntries(
      devices.flatMap(({ path: file, facts }) =>
        file === undefined
          ? []
          : [[path.basename(file), facts.find(({ label }) => label === 'size')?.value ?? null]],
      ),
    );
  };

  test('has the size of each accessible disk, before any VM has opened it', () => {
    const file = (name: string, content = '') => {
      fs.writeFileSync(path.join(root, name), content);
      return path.join(root, name);
    };
    const header = Buffer.alloc(104);
    header.write('QFI\xfb\0\0\0\x03', 'latin1');
    header.writeBigUInt64BE(5n << 30n, 24);
    const raw = file('raw.img');
    fs.truncateSync(raw, 1_000_000);
    fs.writeFileSync(file('top.qcow2'), header);
    fs.writeFileSync(file('as-raw.img'), header);
    const disks = [
      ...[raw, `${root}/top.qcow2`, file('old.vmdk', 'KDMV'), `${root}/gone.img`].map(
        path => `  - {file: ${path}}`,
      ),
      `  - {file: ${root}/as-raw.img, format: raw}`,
      `  - {file: ${file('cut.qcow2', 'QFI\xfb')}, format: qcow2}`,
      `  - {file: ${root}, format: fat, readonly: true}`,
    ];
    put('web.yaml', `name: web\n${bootable()}\ndisks:\n${disks.join('\n')}\n`);
    expect(sizes()).toEqual({
      ...{ 'raw.img': 999_936, 'top.qcow2': 5 * 2 ** 30, 'old.vmdk': null, 'gone.img': null },
      ...{ 'as-raw.img': 0, 'cut.qcow2': null, [path.basename(root)]: null },
    });
    const before = store.list()[0];
    expect(store.list()[0]).toBe(before);
    fs.truncateSync(raw, 2_000_384);
    expect(sizes()).toMatchObject({ 'raw.img': 2_000_384 });
  });

  test('lists a broken file with its problem, and hides no other', () => {
    put('a.yaml', 'name: a\nmemroy: 1G');
    put('b.yaml', 'name: b');
    put('not good.yaml', 'name: x');
    put('big.yaml', `name: big\n#${'x'.repeat(300 * 1024)}`);
    fs.mkdirSync(path.join(folder, 'dir.yaml'));
    fs.writeFileSync(path.join(root, 'out.yaml'), 'name: out');
    fs.symlinkSync(path.join(root, 'out.yaml'), path.join(folder, 'out.yaml'));
    fs.symlinkSync('nowhere', path.join(folder, 'broken.yaml'));
    fs.symlinkSync('b.yaml', path.join(folder, 'twin.yaml'));
    const problems = Object.fromEntries(store.list().map(({ name, problem }) => [name, problem]));
    expect(problems).toEqual({
      a: `${folder}/a.yaml:2:1: memroy: unknown key "memroy": did you mean "memory"?`,
      b: null,
      big: `${folder}/big.yaml:1:1: a definition may have at most 256 KiB`,
      broken: `${folder}/broken.yaml is a link to nowhere, which does not exist: remove it, or replace it with the file itself`,
      dir: `${folder}/dir.yaml is not a regular file: move it away`,
      'not good': `rename ${folder}/not good.yaml: "not good" cannot be the name of a VM: expected a name of at most 63 letters, digits, ".", "_" and "-", which starts with a letter or digit`,
      out: `${folder}/out.yaml is a link to ${root}/out.yaml, outside its folder: replace it with the file itself`,
      twin: `${folder}/twin.yaml:1:7: name: expected "twin", the name of the file, not "b"`,
    });
  });

  test('follows changes', () => {
    put('web.yaml', 'name: web\nmemory: 1G');
    expect(store.list()[0]?.memoryBytes).toBe(2 ** 30);
    put('web.yaml', 'name: web\nmemory: 2G');
    expect(store.list()[0]?.memoryBytes).toBe(2 ** 31);
    fs.rmSync(path.join(folder, 'web.yaml'));
    expect(store.list()).toEqual([]);
  });

  test('a folder that is not one is an error with its name', () => {
    fs.mkdirSync(path.dirname(folder), { recursive: true });
    fs.writeFileSync(folder, '');
    expect(() => store.list()).toThrow(
      `the definitions in ${folder} cannot be read: ${folder} is not a folder`,
    );
  });
});

describe('saving', () => {
  test('creates the folder, and a file that only its owner can read', () => {
    store.save('web', '# mine\nname: web\n', { replace: false });
    expect(store.text('web')).toBe('# mine\nname: web\n');
    expect(fs.statSync(folder).mode & 0o777).toBe(0o755);
    expect(fs.statSync(store.file('web')).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(folder)).toEqual(['web.yaml']);
  });

  test('keeps the old file', () => {
    store.save('web', 'name: web\n', { replace: true });
    store.save('web', 'name: web\ncpus: 2\n', { replace: true });
    store.save('web', 'name: web\ncpus: 3\n', { replace: true });
    expect(store.text('web')).toBe('name: web\ncpus: 3\n');
    expect(fs.readFileSync(`${store.file('web')}~`, 'utf8')).toBe('name: web\ncpus: 2\n');
    expect(fs.readdirSync(folder)).toEqual(['web.yaml', 'web.yaml~']);
  });

  test('keeps the permissions and the owner', () => {
    store.save('web', 'name: web\n', { replace: false });
    fs.chmodSync(store.file('web'), 0o640);
    const group = process.getuid!() === 0 ? 4 : process.getgid!();
    fs.chownSync(store.file('web'), process.getuid!(), group);
    store.save('web', 'name: web\ncpus: 2\n', { replace: true });
    const { mode, gid } = fs.statSync(store.file('web'));
    expect([mode & 0o777, gid]).toEqual([0o640, group]);
  });

  test('does not replace a file unless asked to', () => {
    store.save('web', 'name: web\n', { replace: false });
    expect(() => store.save('web', 'name: web\ncpus: 2\n', { replace: false })).toThrow(
      `web already has a definition, ${folder}/web.yaml: edit it, or choose another name`,
    );
    expect(fs.readdirSync(folder)).toEqual(['web.yaml']);
    expect(store.text('web')).toBe('name: web\n');
  });

  test('does not write an invalid definition', () => {
    expect(() => store.save('web', 'name: web\ncpus: none', { replace: true })).toThrow(
      'web.yaml:2:7: cpus: expected',
    );
    expect(() => store.save('web', 'name: db', { replace: true })).toThrow(
      'web.yaml:1:7: name: expected "web"',
    );
    expect(fs.existsSync(folder)).toBe(false);
  });

  test.each(['../x', 'a/b', '', '.', '..', 'a\0', '-x', 'x'.repeat(64)])(
    'rejects names outside the folder: %j',
    name => {
      const text = `name: ${JSON.stringify(name)}`;
      expect(() => store.save(name, text, { replace: true })).toThrow('cannot be the name of a VM');
      expect(() => store.text(name)).toThrow('cannot be the name of a VM');
      expect(() => store.remove(name)).toThrow('cannot be the name of a VM');
      expect(fs.readdirSync(root)).toEqual([]);
    },
  );

  test('does not write through a link out of the folder', () => {
    put('x.yaml', 'name: x');
    fs.writeFileSync(path.join(root, 'out.yaml'), 'secret');
    fs.symlinkSync(path.join(root, 'out.yaml'), path.join(folder, 'out.yaml'));
    expect(() => store.save('out', 'name: out', { replace: true })).toThrow('outside its folder');
    expect(fs.readFileSync(path.join(root, 'out.yaml'), 'utf8')).toBe('secret');
    expect(fs.readdirSync(folder)).toEqual(['out.yaml', 'x.yaml']);
  });

  test.each([
    ['ENOSPC', 'its file system is full: free some space; nothing was changed'],
    ['EACCES', `permission denied: run as root or as the owner of`],
    ['EROFS', 'its file system is read-only: set VRING_DEFINITIONS_DIR to another folder'],
  ])('%s leaves the old file, and no partial one', (code, reason) => {
    store.save('web', 'name: web\n', { replace: false });
    const failing = vi.spyOn(fs, 'fsyncSync').mockImplementation(() => {
      throw Object.assign(new Error(code), { code });
    });
    try {
      expect(() => store.save('web', 'name: web\ncpus: 2\n', { replace: true })).toThrow(
        `${folder}/web.yaml cannot be written: ${reason}`,
      );
    } finally {
      failing.mockRestore();
    }
    expect(store.text('web')).toBe('name: web\n');
    expect(fs.readdirSync(folder)).toEqual(['web.yaml']);
  });

  test('a file in place of the folder', () => {
    fs.mkdirSync(path.dirname(folder), { recursive: true });
    fs.writeFileSync(folder, '');
    expect(() => store.save('web', 'name: web', { replace: true })).toThrow(
      `${folder}/web.yaml cannot be written: ${folder} is not a folder`,
    );
  });
});

describe('removing', () => {
  test('keeps the file', () => {
    store.save('web', 'name: web\n', { replace: false });
    store.remove('web');
    expect(store.list()).toEqual([]);
    expect(fs.readFileSync(`${store.file('web')}~`, 'utf8')).toBe('name: web\n');
  });

  test('fails for a missing definition', () => {
    const message = `there is no definition of web: ${folder}/web.yaml does not exist`;
    expect(() => store.remove('web')).toThrow(message);
    expect(() => store.text('web')).toThrow(message);
    expect(() => store.machine('web')).toThrow(message);
  });
});

describe('watching', () => {
  const next = (changes: { count: number }, above: number) =>
    expect.poll(() => changes.count, { timeout: 10_000 }).toBeGreaterThan(above);

  test('notices changes by others, even in a folder that is created, deleted and created again', async () => {
    const changes = { count: 0 };
    const stop = store.watch(() => changes.count++);
    try {
      put('web.yaml', 'name: web');
      await next(changes, 0);
      expect(store.list().map(({ name }) => name)).toEqual(['web']);

      const before = changes.count;
      put('web.yaml', 'name: web\ncpus: 2');
      await next(changes, before);
      expect(store.list()[0]?.vcpus).toBe(2);

      const again = changes.count;
      fs.rmSync(path.join(root, 'etc'), { recursive: true });
      await next(changes, again);
      expect(store.list()).toEqual([]);

      const last = changes.count;
      put('db.yaml', 'name: db');
      await next(changes, last);
      await expect.poll(() => store.list().map(({ name }) => name), { timeout: 10_000 }).toEqual(['db']);
    } finally {
      stop();
    }
    // A watch that is still active shows when the stopped one would have been notified.
    const ended = changes.count;
    const others = { count: 0 };
    const stopOther = store.watch(() => others.count++);
    try {
      put('late.yaml', 'name: late');
      await next(others, 0);
      expect(changes.count).toBe(ended);
    } finally {
      stopOther();
    }
  });

  test('many writes at once are one change', async () => {
    put('web.yaml', 'name: web');
    const changes = { count: 0 };
    const stop = store.watch(() => changes.count++);
    try {
      for (let cpus = 1; cpus <= 20; cpus++) put('web.yaml', `name: web\ncpus: ${cpus}`);
      await next(changes, 0);
      expect(store.list()[0]?.vcpus).toBe(20);
      put('web.yaml', 'name: web\ncpus: 21');
      await next(changes, 1);
      expect(changes.count).toBe(2);
    } finally {
      stop();
    }
  });
});

describe('the list of reasons that prevent a start', () => {
  const blockers = () => store.list()[0]!.blockers;

  test('has every unsupported feature and every missing file', () => {
    put(
      'a.yaml',
      'name: a\nnics: [{model: igb}]\ndisks: [{file: /no/a.img}, {file: /no/cd.iso, cdrom: true, bus: ide}]',
    );
    expect(blockers()).toEqual([
      'this version of vring does not support igb network cards (nics[0].model)',
      '/no/a.img does not exist (disks[0].file)',
      '/no/cd.iso does not exist (disks[1].file)',
    ]);
  });

  test('names the kernel and its initrd until they exist', () => {
    const [kernel, initrd] = [path.join(root, 'k'), path.join(root, 'i')];
    put('a.yaml', `name: a\nmachine: {kernel: ${kernel}, initrd: ${initrd}}`);
    expect(blockers()).toEqual([
      `${kernel} does not exist (machine.kernel)`,
      `${initrd} does not exist (machine.initrd)`,
    ]);
    fs.writeFileSync(kernel, '');
    fs.writeFileSync(initrd, '');
    expect(blockers()).toEqual([]);
    const [same] = store.list();
    expect(store.list()[0]).toBe(same);
  });

  test('does not include files that this user cannot look up', () => {
    put('a.yaml', `name: a\nmachine: {kernel: ${'x'.repeat(300)}}`.replace('kernel: ', 'kernel: /'));
    expect(blockers()).toEqual([]);
  });

  test('is kept up to date while the store is watched', async () => {
    const kernel = path.join(root, 'k');
    put('a.yaml', `name: a\nmachine: {kernel: ${kernel}}`);
    const missing = [`${kernel} does not exist (machine.kernel)`];
    expect(blockers()).toEqual(missing);
    const stop = store.watch(() => store.list());
    try {
      fs.writeFileSync(kernel, '');
      await vi.waitFor(() => expect(blockers()).toEqual([]), 10_000);
      fs.rmSync(kernel);
      await vi.waitFor(() => expect(blockers()).toEqual(missing), 10_000);
    } finally {
      stop();
    }
  });

  test('has the sizes of disks as they are now while the store is watched', async () => {
    const disk = path.join(root, 'disk.img');
    fs.writeFileSync(disk, Buffer.alloc(512));
    put('a.yaml', `name: a\n${bootable()}\ndisks: [{file: ${disk}}]`);
    const size = () =>
      store
        .list()[0]!
        .devices?.flatMap(({ facts }) => facts)
        .find(({ label }) => label === 'size')?.value;
    const stop = store.watch(() => store.list());
    try {
      await vi.waitFor(() => expect(size()).toBe(512), 10_000);
      fs.truncateSync(disk, 4096);
      await vi.waitFor(() => expect(size()).toBe(4096), 10_000);
    } finally {
      stop();
    }
  });
});
