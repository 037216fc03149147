import { closeSync, openSync, readSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { GuestMemoryError } from '../../../src/devices/guest-memory.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { duplicate, memfdCreate } from '../../../src/vmm/native/libc.ts';
import { LocalOwner } from '../../support/local-owner.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

const owner = new LocalOwner();
afterEach(() => owner.release());

/** A file of `bytes` in which the last byte of each MiB is its number. */
function savedFile(bytes: number): number {
  const path = join(tmpdir(), `ram-${process.pid}-${Math.random()}`);
  const fd = openSync(path, 'wx+');
  unlinkSync(path);
  for (let at = 1; at <= bytes / MiB; at++) writeSync(fd, Uint8Array.of(at & 0xff), 0, 1, at * MiB - 1);
  return fd;
}

function byteAt(fd: number, at: number): number {
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, at);
  return byte[0]!;
}

describe('new RAM', () => {
  it('is in a file with an offset for each block', () => {
    const ram = new GuestRam(owner, { bytes: 3 * GiB + MiB });
    const { fd, offset } = ram.blocks[1]!;
    ram.writable(4 * GiB + 5, 1)[0] = 0x5a;
    expect(statSync(`/proc/self/fd/${fd}`).size).toBe(3 * GiB + MiB);
    expect(byteAt(fd!, offset + 5)).toBe(0x5a);
  });

  it('is the same where it is accessed without a view of all of it', () => {
    const ram = new GuestRam(owner, { bytes: 64 * MiB });
    // Across the end of the low block's head (16 MiB), and in it before and after the block has a view of all of it.
    ram.writeU32(15 * MiB, 0x0403_0201);
    ram.writable(16 * MiB - 2, 4).set([1, 2, 3, 4]);
    ram.writeU16(16 * MiB - 4, 0x0605);
    const { fd, buffer } = ram.blocks.find(
      ({ address, size }) => address <= 15 * MiB && address + size > 17 * MiB,
    )!;
    expect(buffer.byteLength).toBeGreaterThan(17 * MiB);
    expect([16 * MiB - 1, 16 * MiB, 16 * MiB - 4].map(at => byteAt(fd!, at))).toEqual([2, 3, 5]);
    expect(ram.readU32(16 * MiB - 2)).toBe(0x0403_0201);
    expect([...ram.readable(15 * MiB, 4)]).toEqual([1, 2, 3, 4]);
    expect(() => ram.readU32(64 * MiB - 2)).toThrow(GuestMemoryError);
  });

  it('is zero again after it has been cleared, and uses no host memory', () => {
    const ram = new GuestRam(owner, { bytes: 4 * MiB });
    ram.writable(0, 4 * MiB).fill(0xff);
    const file = `/proc/self/fd/${ram.blocks[0]!.fd}`;
    expect(statSync(file).blocks).toBe((4 * MiB) / 512);
    ram.clear();
    expect(statSync(file).blocks).toBe(0);
    expect(ram.readable(0, 4 * MiB).every(byte => byte === 0)).toBe(true);
  });
});

describe('RAM from a file', () => {
  it('has the contents of the file, which it never changes', () => {
    const fd = savedFile(4 * MiB);
    const ram = new GuestRam(owner, { bytes: 4 * MiB }, { kind: 'file', fd });
    expect(ram.blocks[0]!.fd).toBeNull();
    expect([1, 2, 3, 4].map(at => ram.readable(at * MiB - 1, 1)[0])).toEqual([1, 2, 3, 4]);
    ram.writable(MiB - 1, 1)[0] = 0x77;
    expect(byteAt(fd, MiB - 1)).toBe(1);
    expect(ram.readable(MiB - 1, 1)[0]).toBe(0x77);
  });

  it('is zero after it has been cleared', () => {
    const ram = new GuestRam(owner, { bytes: 4 * MiB }, { kind: 'file', fd: savedFile(4 * MiB) });
    ram.writeU32(0, 7);
    ram.clear();
    expect(ram.readable(0, 4 * MiB).every(byte => byte === 0)).toBe(true);
    ram.writeU32(0, 8);
    expect(ram.readU32(0)).toBe(8);
  });

  it('may be mergeable', () => {
    const fd = savedFile(MiB);
    const ram = new GuestRam(owner, { bytes: MiB, mergeable: true }, { kind: 'file', fd });
    expect(ram.readable(MiB - 1, 1)[0]).toBe(1);
    ram.clear();
    expect(ram.readable(MiB - 1, 1)[0]).toBe(0);
  });

  it('must have the size of the VM', () => {
    expect(() => new GuestRam(owner, { bytes: 2 * MiB }, { kind: 'file', fd: savedFile(MiB) })).toThrow(
      'the memory of the VM has 2097152 bytes, but what was saved of it has 1048576',
    );
  });
});

describe('RAM from another process', () => {
  it('is the same memory in both', () => {
    const before = new GuestRam(owner, { bytes: 3 * GiB + MiB });
    before.writeU32(4 * GiB, 0x1234_5678);
    const fd = duplicate(before.blocks[0]!.fd!);
    const after = new GuestRam(owner, { bytes: 3 * GiB + MiB }, { kind: 'memfd', fd });
    expect(after.blocks.map(block => block.fd)).toEqual([fd, fd]);
    expect(after.readU32(4 * GiB)).toBe(0x1234_5678);
    after.writeU32(0x1000, 9);
    expect(before.readU32(0x1000)).toBe(9);
  });

  it('must be sealed, because a file that shrinks would end the process', () => {
    const fd = memfdCreate('guest-ram');
    writeSync(fd, Uint8Array.of(0), 0, 1, MiB - 1);
    expect(() => new GuestRam(owner, { bytes: MiB }, { kind: 'memfd', fd })).toThrow(
      'the memory of the VM is in a file whose size can change: start the VM again',
    );
  });

  it('belongs to the new owner, whatever the result', () => {
    const fd = savedFile(MiB);
    expect(() => new GuestRam(owner, { bytes: 2 * MiB }, { kind: 'memfd', fd })).toThrow();
    expect(owner.fds).toContain(fd);
    owner.release();
    expect(() => closeSync(fd)).toThrow('EBADF');
  });
});
