import type { DiskDone, DiskPort, Segment } from '../../backends/disk-port.ts';
import type { UsbTransfer } from '../usb-device.ts';

const SECTOR = 512;
/** The most that goes through a buffer of the model: transfers of anything but whole sectors. */
const MAX_STAGED = 2 ** 20;

/** A part of a disk that is moved to or from the beginning of a transfer. */
export type DiskData = {
  readonly access: 'read' | 'write';
  /** Bytes, with any alignment. */
  readonly offset: number;
  readonly length: number;
  /** Whether the transfer is still wanted after a part of it has completed. */
  readonly isCurrent: () => boolean;
};

/**
 * Moves whole sectors directly between the disk and guest memory, and others through a buffer. @param done possibly
 * called within this call
 */
export function moveDiskData(port: DiskPort, transfer: UsbTransfer, data: DiskData, done: DiskDone): void {
  const { access, offset, length } = data;
  if (offset % SECTOR === 0 && length % SECTOR === 0)
    port.transfer(access, offset, firstOf(transfer.segments, length), done);
  // No driver splits this much data in such a way.
  else if (length > MAX_STAGED) done('memory');
  else moveStaged(port, transfer, data, done);
}

function moveStaged(
  port: DiskPort,
  transfer: UsbTransfer,
  { access, offset, length, isCurrent }: DiskData,
  done: DiskDone,
): void {
  const start = Math.floor(offset / SECTOR) * SECTOR;
  const skipped = offset - start;
  const bytes = new Uint8Array(Math.ceil((skipped + length) / SECTOR) * SECTOR);
  port.readInto(start, bytes, error => {
    if (!isCurrent()) return;
    if (error !== null) done(error);
    else if (access === 'read') {
      transfer.write(0, bytes.subarray(skipped, skipped + length));
      done(null);
    } else {
      bytes.set(transfer.read(0, length), skipped);
      port.writeFrom(start, bytes, done);
    }
  });
}

/** The first `length` bytes of segments. */
function firstOf(segments: readonly Segment[], length: number): Segment[] {
  const first: Segment[] = [];
  let left = length;
  for (const segment of segments) {
    if (left === 0) break;
    const taken = Math.min(left, segment.length);
    first.push({ address: segment.address, length: taken });
    left -= taken;
  }
  return first;
}
