import { ioctl } from '../native/libc.ts';
import type { Fields, Struct, StructValue } from './c-struct.ts';
import { IOCTLS, type IoctlName } from './ioctls.ts';
import { type CpuidEntry, kvmCpuid2, kvmCpuidEntry2 } from './structs.ts';

/** The maximum number of CPUID entries (KVM_MAX_CPUID_ENTRIES). */
const MAX_CPUID_ENTRIES = 256;

/** One KVM ioctl by name. @returns its result. @throws SystemError */
export function kvmIoctl(fd: number, name: IoctlName, argument: number | bigint | Uint8Array = 0): number {
  return ioctl(fd, name, IOCTLS[name], argument);
}

/** An ioctl that fills a struct. */
export function getStruct<F extends Fields>(fd: number, name: IoctlName, struct: Struct<F>): StructValue<F> {
  const bytes = new Uint8Array(struct.size);
  kvmIoctl(fd, name, bytes);
  return struct.read(bytes);
}

/** An ioctl that takes a struct. */
export function setStruct<F extends Fields>(
  fd: number,
  name: IoctlName,
  struct: Struct<F>,
  value: StructValue<F>,
): void {
  kvmIoctl(fd, name, struct.encode(value));
}

/** The argument of an ioctl that takes a header followed by an array of entries. */
export function encodeList<H extends Fields, E extends Fields>(
  header: Struct<H>,
  headerValue: StructValue<H>,
  entry: Struct<E>,
  entries: readonly StructValue<E>[],
): Uint8Array {
  const bytes = new Uint8Array(header.size + entries.length * entry.size);
  header.write(bytes, headerValue);
  entries.forEach((value, index) => {
    entry.write(bytes, value, header.size + index * entry.size);
  });
  return bytes;
}

/** An ioctl that fills a list of CPUID entries. */
export function getCpuid(fd: number, name: IoctlName): CpuidEntry[] {
  const bytes = new Uint8Array(kvmCpuid2.size + MAX_CPUID_ENTRIES * kvmCpuidEntry2.size);
  kvmCpuid2.write(bytes, { nent: MAX_CPUID_ENTRIES });
  kvmIoctl(fd, name, bytes);
  const { nent } = kvmCpuid2.read(bytes);
  const words = new Uint32Array(bytes.buffer, kvmCpuid2.size);
  // All fields are words. There are too many entries to go through `Struct`.
  return Array.from({ length: nent }, (_, entry) => {
    const at = (entry * kvmCpuidEntry2.size) / 4;
    const [fn, index, flags, eax, ebx, ecx, edx] = words.subarray(at, at + 7);
    return { function: fn!, index: index!, flags: flags!, eax: eax!, ebx: ebx!, ecx: ecx!, edx: edx! };
  });
}
