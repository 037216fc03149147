import { accessSync, constants, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cpio } from '../rig/cpio.ts';
import { run } from '../rig/tools.ts';
import { repository } from '../rig/workspace.ts';

/** Linux for a KVM that emulates the guest's kernel mode. Optional, next to the checkout: too large to be part of it. */
const KERNEL = join(repository, '../shared/guest/vmlinux-6.12-emul.xz');
/** How much init.c reads and writes, in bytes. */
const CHUNK = 65536;

const missing = whyNot();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)("Linux on this machine's KVM", () => {
  let directory: string;
  const file = (name: string) => join(directory, name);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    await run('xz', ['--decompress', '--stdout', KERNEL], { stdout: { file: file('vmlinux') } });
    await writeFile(file('initrd'), await makeInitrd(file('init')));
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test('reads and writes a virtio disk, has random numbers, and powers off', async () => {
    const before = Buffer.concat([Buffer.alloc(CHUNK, 'from the host '), Buffer.alloc(3 * CHUNK)]);
    await writeFile(file('disk.img'), before);

    const { stdout } = await run(
      join(repository, 'bin/vring'),
      [
        ...['run', file('vmlinux'), '--initrd', file('initrd'), '--append', 'console=ttyS0 quiet'],
        ...['--disk', file('disk.img'), '--memory', '128M', '--name', 'emulated-ring0'],
      ],
      { stdin: 'ignore', timeout: 170_000 },
    );

    const after = await readFile(file('disk.img'));
    const written = after.subarray(CHUNK, 2 * CHUNK);
    const said = [...stdout.matchAll(/guest: (.*?)\r?$/gm)].map(match => match[1]);
    expect(said, stdout).toEqual([
      expect.stringMatching(/^random (?!0{16})[0-9a-f]{16}$/),
      `read ${checksum(before.subarray(0, CHUNK))}`,
      `written ${checksum(written)}`,
      `read-back ${checksum(written)}`,
    ]);
    expect(written.equals(Buffer.alloc(CHUNK))).toBe(false);
    const others = Buffer.concat([after.subarray(0, CHUNK), after.subarray(2 * CHUNK)]);
    expect(others.equals(before.subarray(0, 3 * CHUNK))).toBe(true);
  }, 180_000);
});

function whyNot(): string | null {
  if (!existsSync(KERNEL)) return `there is no kernel at ${KERNEL}`;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch {
    return '/dev/kvm cannot be opened';
  }
}

/** Compiles init.c to `program` and packs it. A C library or a shell would take longer to start than the whole program. */
async function makeInitrd(program: string): Promise<Buffer> {
  const flags = [
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-D_GNU_SOURCE',
    '-ffreestanding',
    '-fno-stack-protector',
  ];
  const source = join(import.meta.dirname, 'init.c');
  await run('cc', [...flags, '-static', '-nostdlib', '-o', program, source]);
  return cpio([
    { kind: 'directory', path: 'dev' },
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'file', path: 'init', data: await readFile(program), executable: true },
  ]);
}

/** 64-bit FNV-1a, as in init.c. */
function checksum(bytes: Uint8Array): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}
