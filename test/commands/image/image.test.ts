import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const MiB = 2 ** 20;

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

type Result = { readonly status: number; readonly stdout: string; readonly stderr: string };

function vring(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Result {
  try {
    const stdout = execFileSync(process.execPath, [builtFile('cli.js'), 'image', ...args], {
      ...{ cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    });
    return { status: 0, stdout, stderr: '' };
  } catch (error) {
    const { status, stdout, stderr } = error as Result;
    return { status, stdout, stderr };
  }
}

const json = (...args: string[]) => JSON.parse(vring([...args, '--json']).stdout) as Record<string, unknown>;
const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8' });

describe('vring image', () => {
  test('creates images, and linked clones of them', () => {
    expect(vring(['create', 'base.img', '3M'])).toMatchObject({ status: 0 });
    expect(json('info', 'base.img')).toMatchObject({ format: 'raw', size: 3 * MiB, problems: [] });
    expect(json('create', 'clone.qcow2', '--backing', 'base.img', '--cluster-size', '4K')).toMatchObject({
      image: { format: 'qcow2', size: 3 * MiB, backing: [{ path: 'base.img', format: 'raw' }] },
    });
    expect(json('info', 'clone.qcow2')).toMatchObject({
      details: { clusterSize: 4096, compression: 'zlib' },
    });
    expect(vring(['create', 'clone.qcow2', '1G']).stderr).toContain('clone.qcow2 already exists');
    expect(vring(['create', 'new.qcow2'])).toMatchObject({ status: 2 });
    expect(readdirSync(folder).sort()).toEqual(['base.img', 'clone.qcow2']);
  });

  test.each(['vmdk', 'vdi', 'vhd', 'vhdx', 'raw'])('converts from and to %s', format => {
    const content = Buffer.alloc(4 * MiB, 'content');
    writeFileSync(join(folder, 'in.raw'), content);
    expect(vring(['convert', 'in.raw', `middle.${format}`]).stderr).toBe('');
    expect(json('info', `middle.${format}`)).toMatchObject({ format });
    expect(vring(['convert', `middle.${format}`, 'out.qcow2', '--compress']).stderr).toBe('');
    expect(vring(['convert', 'out.qcow2', 'out.raw']).stderr).toBe('');
    // Some formats round the size up.
    expect(readFileSync(join(folder, 'out.raw')).subarray(0, content.length).equals(content)).toBe(true);
  });

  test('leaves nothing behind when a conversion is canceled', async () => {
    writeFileSync(join(folder, 'in.raw'), '');
    truncateSync(join(folder, 'in.raw'), 2 ** 40);
    execFileSync('fallocate', ['-l', '2G', 'in.raw'], { cwd: folder });
    const running = spawn(
      process.execPath,
      [builtFile('cli.js'), 'image', 'convert', 'in.raw', 'out.qcow2'],
      { cwd: folder },
    );
    const ended = new Promise<number | null>(resolve => running.on('exit', resolve));
    await until(() => readdirSync(folder).some(name => name.startsWith('.out.qcow2.')));
    running.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(readdirSync(folder)).toEqual(['in.raw']);
  });

  test('resizes, and shrinks only on request', () => {
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '4M');
    expect(json('resize', 'disk.qcow2', '8M')).toMatchObject({ image: { size: 8 * MiB } });
    expect(json('resize', 'disk.qcow2', '+1M')).toMatchObject({ image: { size: 9 * MiB } });
    const refused = vring(['resize', 'disk.qcow2', '2M']);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('use --shrink')]);
    expect(json('resize', 'disk.qcow2', '2M', '--shrink')).toMatchObject({ image: { size: 2 * MiB } });
  });

  test('checks and repairs', () => {
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '4M');
    execFileSync('qemu-io', ['-c', 'write 0 1M', 'disk.qcow2'], { cwd: folder });
    expect(json('check', 'disk.qcow2')).toMatchObject({ errors: 0, leaks: 0 });
    const bytes = readFileSync(join(folder, 'disk.qcow2'));
    const table = Number(bytes.readBigUInt64BE(48));
    const block = Number(bytes.readBigUInt64BE(table));
    // The refcount of a cluster in use becomes 0.
    bytes.writeUInt16BE(0, block + 2 * 5);
    writeFileSync(join(folder, 'disk.qcow2'), bytes);
    const found = vring(['check', 'disk.qcow2']);
    expect([found.status, found.stdout]).toEqual([
      1,
      expect.stringContaining('repair them with vring image check --repair disk.qcow2'),
    ]);
    expect(vring(['check', 'disk.qcow2', '--repair'])).toMatchObject({ status: 0 });
    expect(json('check', 'disk.qcow2')).toMatchObject({ errors: 0 });
  });

  test('keeps, applies and deletes snapshots', () => {
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '4M');
    expect(json('snapshot', 'create', 'disk.qcow2', 'first')).toMatchObject({
      snapshots: [{ name: 'first' }],
    });
    expect(vring(['snapshot', 'create', 'disk.qcow2', 'first']).stderr).toContain('named first already');
    expect(vring(['snapshot', 'list', 'disk.qcow2']).stdout).toMatch(/^NAME.*\nfirst/);
    expect(vring(['snapshot', 'apply', 'disk.qcow2', 'first'])).toMatchObject({ status: 0 });
    expect(json('snapshot', 'delete', 'disk.qcow2', 'first')).toMatchObject({ snapshots: [] });
    expect(vring(['snapshot', 'delete', 'disk.qcow2', 'first']).stderr).toContain(
      'has no snapshot named first',
    );
  });

  test('commits to backing files, and replaces them', () => {
    qemuImg('create', '-q', '-f', 'raw', 'base.img', '4M');
    vring(['create', 'top.qcow2', '--backing', 'base.img']);
    execFileSync('qemu-io', ['-c', 'write -P 7 0 1M', 'top.qcow2'], { cwd: folder });
    expect(vring(['commit', 'top.qcow2'])).toMatchObject({ status: 0 });
    expect(readFileSync(join(folder, 'base.img'))[1000]).toBe(7);
    expect(vring(['rebase', 'top.qcow2'])).toMatchObject({ status: 0 });
    expect(json('info', 'top.qcow2')).toMatchObject({ backing: [] });
  });

  test('does not change an image that a VM uses', () => {
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '4M');
    const { fd } = openDisk({ path: join(folder, 'disk.qcow2'), readonly: false, cache: 'writeback' });
    try {
      for (const args of [
        ['resize', 'disk.qcow2', '8M'],
        ['check', 'disk.qcow2'],
        ['snapshot', 'create', 'disk.qcow2', 'first'],
        ['convert', 'disk.qcow2', 'copy.raw', '--format', 'raw'],
      ])
        expect(vring(args)).toMatchObject({
          status: 1,
          stderr: expect.stringContaining('disk.qcow2 is in use by'),
        });
      expect(json('info', 'disk.qcow2')).toMatchObject({ size: 4 * MiB });
      expect(existsSync(join(folder, 'copy.raw'))).toBe(false);
    } finally {
      libc.close(fd);
    }
  });

  test('reports the missing package without qemu-img', () => {
    const { status, stderr } = vring(['create', 'disk.qcow2', '1M'], { ...process.env, PATH: '/nowhere' });
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining('needs qemu-img: install the package qemu-utils'),
    ]);
    expect(
      vring(['create', 'disk.img', '1M', '--format', 'raw'], { ...process.env, PATH: '/nowhere' }),
    ).toMatchObject({ status: 0 });
  });
});
