import type { HostBlock } from '../../src/devices/host-block.ts';

let next = 1n;

/** A block in a plain buffer, at an unmapped address. */
export function fakeBlock(name: string, size: number): HostBlock {
  return { name, size, host: next++ << 40n, fd: null, offset: 0, buffer: new ArrayBuffer(size) };
}
