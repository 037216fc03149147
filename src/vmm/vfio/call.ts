import type { Fields, Struct, StructValue } from '../kvm/c-struct.ts';
import { ioctl, tryIoctl } from '../native/libc.ts';
import { IOCTLS, type IoctlName } from './ioctls.ts';
import { vfioInfoCapHeader } from './structs.ts';

/** One ioctl of VFIO or iommufd by name. @returns its result. @throws SystemError */
export function vfioIoctl(fd: number, name: IoctlName, argument: number | bigint | Uint8Array = 0): number {
  return ioctl(fd, name, IOCTLS[name], argument);
}

/** Same, once: @returns its result, or the negative errno. */
export function tryVfioIoctl(
  fd: number,
  name: IoctlName,
  argument: number | bigint | Uint8Array = 0,
): number {
  return tryIoctl(fd, IOCTLS[name], argument);
}

/** A device for VFIO_GROUP_GET_DEVICE_FD: a C string, the token after the address (Linux, vfio_pci_core_match). */
export function deviceName(address: string, vfToken?: string): Uint8Array {
  const token = vfToken === undefined ? '' : ` vf_token=${vfToken}`;
  return Buffer.from(`${address}${token}\0`, 'latin1');
}

/** A header followed by `values` (s32); its `argsz` covers both. */
export function withNumbers<F extends Fields>(
  struct: Struct<F>,
  value: Omit<StructValue<F>, 'argsz'>,
  values: readonly number[],
): Uint8Array {
  const bytes = new Uint8Array(struct.size + 4 * values.length);
  struct.write(bytes, { ...value, argsz: bytes.length } as unknown as StructValue<F>);
  const view = new DataView(bytes.buffer);
  for (const [index, number] of values.entries()) view.setInt32(struct.size + 4 * index, number, true);
  return bytes;
}

/** Limit of an info struct with its capabilities: larger than any kernel's. */
const MAX_INFO = 2 ** 20;

/** An info struct, and the bytes with its capabilities. */
export type Info<F extends Fields> = { readonly value: StructValue<F>; readonly bytes: Uint8Array };

/**
 * An ioctl that returns in `argsz` how much room it needs for its capabilities; it is repeated with that room.
 * @throws SystemError
 */
export function getInfo<F extends Fields>(
  fd: number,
  name: IoctlName,
  struct: Struct<F>,
  value: StructValue<F>,
): Info<F> {
  for (let size = struct.size; ; ) {
    const bytes = new Uint8Array(size);
    struct.write(bytes, { ...value, argsz: size });
    vfioIoctl(fd, name, bytes);
    const result = struct.read(bytes);
    const needed = (result as { readonly argsz: number }).argsz;
    if (needed <= size || needed > MAX_INFO) return { value: result, bytes };
    size = needed;
  }
}

/**
 * The capabilities of an info struct: their offsets in it, by id.
 * @param first offset of the first; 0 if there are none
 */
export function capabilities(bytes: Uint8Array, first: number): Map<number, number> {
  const found = new Map<number, number>();
  for (let at = first; at !== 0 && at + vfioInfoCapHeader.size <= bytes.length; ) {
    const { id, next } = vfioInfoCapHeader.read(bytes, at);
    found.set(id, at);
    if (next <= at) break;
    at = next;
  }
  return found;
}
