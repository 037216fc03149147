import type { Segment } from '../../devices/backends/disk-port.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import { SECTOR } from '../../devices/virtio/blk-config.ts';
import { RING_SEGMENTS } from './port-ring.ts';

/** Most that one request transfers, so that its chain stays below 4 GiB. */
const TRANSFER_BYTES = 2 ** 30;

/** Divides a transfer's memory into pieces of whole sectors that each fit in a request; null if it is too scattered. */
export function cutIntoRequests(segments: readonly Segment[]): Segment[][] | null {
  const pieces: Segment[][] = [];
  let piece: Segment[] = [];
  let bytes = 0;
  for (const segment of segments) {
    let { address, length } = segment;
    while (length > 0) {
      const taken = Math.min(length, TRANSFER_BYTES - bytes);
      piece.push({ address, length: taken });
      bytes += taken;
      address += taken;
      length -= taken;
      if (piece.length < RING_SEGMENTS && bytes < TRANSFER_BYTES) continue;
      const rest = endAtSector(piece, bytes);
      if (piece.length === 0) return null;
      pieces.push(piece);
      piece = rest;
      bytes = rest.reduce((sum, part) => sum + part.length, 0);
    }
  }
  if (piece.length > 0) pieces.push(piece);
  return pieces;
}

/** Trims the end of a piece to its last whole sector. */
function endAtSector(piece: Segment[], bytes: number): Segment[] {
  let excess = bytes % SECTOR;
  const rest: Segment[] = [];
  while (excess > 0) {
    const { address, length } = piece.pop()!;
    const moved = Math.min(excess, length);
    if (moved < length) piece.push({ address, length: length - moved });
    rest.unshift({ address: address + length - moved, length: moved });
    excess -= moved;
  }
  return rest;
}

/** Whether all of a segment is memory, possibly in several regions. */
export function isReachable(
  memory: GuestMemory,
  { address, length }: Segment,
  access: 'read' | 'write',
): boolean {
  if (memory.contains(address, length, access)) return true;
  let [at, left] = [address, length];
  while (left > 0) {
    const region = memory.regions.find(({ address, size }) => at >= address && at < address + size);
    if (region === undefined) return false;
    const part = Math.min(left, region.address + region.size - at);
    if (!memory.contains(at, part, access)) return false;
    at += part;
    left -= part;
  }
  return true;
}
