import { writeSync } from 'node:fs';
import type { ImageFormat } from '../../devices/backends/disk.ts';
import { openTemporary } from './temporary-file.ts';

const CLUSTER_BITS = 16;
const CLUSTER = 2 ** CLUSTER_BITS;
const VERSION = 3;
const HEADER_BYTES = 104;
/** Bits of a refcount: 2^4. */
const REFCOUNT_ORDER = 4;
const BACKING_FORMAT = 0xe279_2aca;
/** The overlay is opened together with its backing file, so this name is never looked up. */
const BACKING_NAME = 'base';

/** What one L1 entry maps: an L2 table of one cluster, with an entry of 8 bytes for each cluster. */
const L1_ENTRY_MAPS = (CLUSTER / 8) * CLUSTER;
/** In clusters. The L1 table follows. */
const REFCOUNT_TABLE = 1;
const REFCOUNT_BLOCK = 2;
const L1_TABLE = 3;

/**
 * An empty qcow2 image (version 3; QEMU's docs/interop/qcow2.rst) over a disk of this size, in bytes, and format: its
 * metadata, from the start of the file.
 */
export function emptyOverlay(size: number, format: ImageFormat): Buffer {
  const entries = Math.ceil(size / L1_ENTRY_MAPS);
  const l1Clusters = Math.ceil((entries * 8) / CLUSTER);
  const clusters = L1_TABLE + l1Clusters;
  const image = Buffer.alloc(clusters * CLUSTER);
  const name = Buffer.from(BACKING_NAME);
  const nameAt = HEADER_BYTES + 8 + 8 + 8;

  image.write('QFI\xfb', 0, 'latin1');
  image.writeUInt32BE(VERSION, 4);
  image.writeBigUInt64BE(BigInt(nameAt), 8);
  image.writeUInt32BE(name.length, 16);
  image.writeUInt32BE(CLUSTER_BITS, 20);
  image.writeBigUInt64BE(BigInt(size), 24);
  image.writeUInt32BE(entries, 36);
  image.writeBigUInt64BE(BigInt(L1_TABLE * CLUSTER), 40);
  image.writeBigUInt64BE(BigInt(REFCOUNT_TABLE * CLUSTER), 48);
  image.writeUInt32BE(1, 56);
  image.writeUInt32BE(REFCOUNT_ORDER, 96);
  image.writeUInt32BE(HEADER_BYTES, 100);

  image.writeUInt32BE(BACKING_FORMAT, HEADER_BYTES);
  image.writeUInt32BE(format.length, HEADER_BYTES + 4);
  image.write(format, HEADER_BYTES + 8, 'latin1');
  name.copy(image, nameAt);

  image.writeBigUInt64BE(BigInt(REFCOUNT_BLOCK * CLUSTER), REFCOUNT_TABLE * CLUSTER);
  for (let cluster = 0; cluster < clusters; cluster++)
    image.writeUInt16BE(1, REFCOUNT_BLOCK * CLUSTER + 2 * cluster);
  return image;
}

/**
 * Creates an empty overlay in a temporary file.
 * @param path of the disk, for errors
 * @throws DiskError
 */
export function openOverlay(path: string, size: number, format: ImageFormat): number {
  const image = emptyOverlay(size, format);
  return openTemporary(`disk ${path} is transient, and a file for what its guest writes`, fd => {
    for (let done = 0; done < image.length; ) done += writeSync(fd, image, done, image.length - done, done);
  });
}
