import fs, { type Stats } from 'node:fs';
import type { DeviceFact } from '../devices/device-type.ts';
import { SECTOR } from '../devices/virtio/blk-config.ts';
import type { DefinedDevice } from '../engine/hotplug/defined-device.ts';
import { deviceNumbers } from '../vmm/backends/file-identity.ts';
import { probeFormat } from '../vmm/backends/image-format.ts';

/** What the file of a disk shows without a VM: its bytes, and its first bytes. */
export type SeenDisk = { readonly bytes: number; readonly head: Buffer };

/** As much as identifies a format. */
const HEAD_BYTES = 2048;
const OPEN = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;
/** Offset of the disk's size in the header of a qcow2 image (docs/interop/qcow2.rst of QEMU), a big-endian u64. */
const QCOW2_SIZE = 24;

/** Looks at a file of this status; null if it is none that holds a disk, or cannot be read. */
export function seeDisk(file: string, stats: Stats): SeenDisk | null {
  if (!holdsDisk(stats)) return null;
  try {
    const fd = fs.openSync(file, OPEN);
    try {
      const head = Buffer.alloc(HEAD_BYTES);
      const read = fs.readSync(fd, head, 0, HEAD_BYTES, 0);
      return { bytes: bytesOf(stats), head: head.subarray(0, read) };
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return null;
  }
}

/** The same, without blocking on a file system that hangs. */
export async function seeDiskLater(file: string, stats: Stats): Promise<SeenDisk | null> {
  if (!holdsDisk(stats)) return null;
  try {
    const handle = await fs.promises.open(file, OPEN);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return { bytes: bytesOf(stats), head: buffer.subarray(0, bytesRead) };
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}

function holdsDisk(stats: Stats): boolean {
  return stats.isFile() || stats.isBlockDevice();
}

/** Those of a block device are in sysfs. */
function bytesOf(stats: Stats): number {
  if (stats.isFile()) return stats.size;
  const { major, minor } = deviceNumbers(BigInt(stats.rdev));
  return SECTOR * Number(fs.readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8'));
}

/** A device of a definition with the size of its disk, if that can be seen. */
export function withSize(device: DefinedDevice, seen: SeenDisk | null): DefinedDevice {
  const bytes = seen === null ? null : diskBytes(device, seen);
  if (bytes === null) return device;
  const size: DeviceFact = { label: 'size', value: bytes, unit: 'bytes' };
  const at = device.facts.findIndex(({ label }) => label === 'path') + 1;
  return { ...device, facts: [...device.facts.slice(0, at), size, ...device.facts.slice(at)] };
}

/** Null if the file has a format that is not read here. */
function diskBytes({ facts }: DefinedDevice, { bytes, head }: SeenDisk): number | null {
  const given = facts.find(({ label }) => label === 'format')?.value;
  const read = (offset: number, length: number) => head.subarray(offset, offset + length);
  const format = given ?? probeFormat(read, bytes);
  if (format === 'raw') return bytes - (bytes % SECTOR);
  if (format !== 'qcow2' || head.length < QCOW2_SIZE + 8 || probeFormat(read, bytes) !== 'qcow2') return null;
  return Number(head.readBigUInt64BE(QCOW2_SIZE));
}
