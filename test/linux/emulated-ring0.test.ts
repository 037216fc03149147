import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../rig/tools.ts';
import { repository } from '../rig/workspace.ts';
import { CHUNK, checksum, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)("Linux on this machine's KVM", () => {
  let directory: string;
  const file = (name: string) => join(directory, name);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    await makeLinux(directory, 'init.c');
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
