import { accessSync, constants, existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpio } from '../rig/cpio.ts';
import { run } from '../rig/tools.ts';
import { repository } from '../rig/workspace.ts';

/** Linux for a KVM that emulates the guest's kernel mode. Optional, next to the checkout: too large to be part of it. */
const KERNEL = join(repository, '../shared/guest/vmlinux-6.12-emul.xz');
/** The same with many more drivers, which starts later: CD drives are among them. */
export const DEVICES_KERNEL = join(repository, '../shared/guest/vmlinux-6.12-devices.xz');

/** How much the programs read and write at a time, in bytes. */
export const CHUNK = 65536;

/** What the programs fill a chunk with from a seed: xorshift64 (guest.h). */
export function filled(seed: number): Buffer {
  const bytes = Buffer.alloc(CHUNK);
  let state = BigInt(seed);
  for (let at = 0; at < CHUNK; at += 8) {
    state = BigInt.asUintN(64, state ^ (state << 13n));
    state ^= state >> 7n;
    state = BigInt.asUintN(64, state ^ (state << 17n));
    bytes.writeBigUInt64LE(state, at);
  }
  return bytes;
}

/** Chunks that a program sends, each filled from its number. */
export function sentByGuest(chunks: number): Buffer {
  return Buffer.concat(Array.from({ length: chunks }, (_, chunk) => filled(chunk + 1)));
}

/** Why there is no Linux guest here; null if there is. */
export function whyNoLinux(kernel = KERNEL): string | null {
  if (!existsSync(kernel)) return `there is no kernel at ${kernel}`;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch {
    return '/dev/kvm cannot be opened';
  }
}

/** Puts a kernel and an initial RAM disk into a folder, whose first program is compiled from `source`, a file beside this one. */
export async function makeLinux(
  directory: string,
  source: string,
  from = KERNEL,
): Promise<{ readonly kernel: string; readonly initrd: string }> {
  const [kernel, initrd] = [join(directory, 'vmlinux'), join(directory, 'initrd')];
  await run('xz', ['--decompress', '--stdout', from], { stdout: { file: kernel } });
  await writeFile(initrd, await makeInitrd(join(directory, 'init'), join(import.meta.dirname, source)));
  return { kernel, initrd };
}

/** A C library or a shell would take longer to start than the whole program. */
async function makeInitrd(program: string, source: string): Promise<Buffer> {
  const flags = [
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-D_GNU_SOURCE',
    '-ffreestanding',
    '-fno-stack-protector',
  ];
  await run('cc', [...flags, '-static', '-nostdlib', '-o', program, source]);
  return cpio([
    { kind: 'directory', path: 'dev' },
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'file', path: 'init', data: await readFile(program), executable: true },
  ]);
}

/** 64-bit FNV-1a, as in guest.h. */
export function checksum(bytes: Uint8Array): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}
