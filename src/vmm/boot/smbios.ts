import { createHash } from 'node:crypto';
import { concat, little } from '../../devices/acpi/aml.ts';
import { checksum } from '../acpi/table.ts';
import type { MapEntry } from './memory-map.ts';

/** What the tables say about a machine. */
export type SmbiosFacts = {
  readonly name: string;
  /** RFC 9562 text; one that follows from the name if absent. */
  readonly uuid?: string | undefined;
  /** Sockets, and what is in each. */
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  /** Bytes. */
  readonly memory: number;
  /** Where RAM is. */
  readonly ram: readonly Pick<MapEntry, 'address' | 'size'>[];
};

const MiB = 2 ** 20;
const MANUFACTURER = 'vring';
const PRODUCT = 'Standard PC (Q35 + ICH9)';

/** Types of structures (DSP0134 SMBIOS 2.8 §7). */
const TYPE = {
  system: 1,
  chassis: 3,
  processor: 4,
  memoryArray: 16,
  memoryDevice: 17,
  arrayAddress: 19,
  bootInfo: 32,
  end: 127,
} as const;
const HANDLE = {
  system: 0x100,
  chassis: 0x300,
  processor: 0x400,
  array: 0x1000,
  device: 0x1100,
  map: 0x1300,
};
/** No error information, and no cache. */
const NO_ERROR = 0xfffe;
const NO_HANDLE = 0xffff;

/**
 * The SMBIOS tables as files of fw_cfg, `etc/smbios/smbios-tables` and its entry point, whose address firmware fills in. It adds what it
 * says about itself (type 0).
 */
export function smbios(facts: SmbiosFacts): { readonly anchor: Uint8Array; readonly tables: Uint8Array } {
  const list = structures(facts);
  const tables = concat(...list);
  const largest = Math.max(...list.map(({ length }) => length));
  return { anchor: entryPoint(tables.length, list.length, largest), tables };
}

/** §5.2.1, without the address and with checksums that firmware makes right. */
function entryPoint(length: number, count: number, largest: number): Uint8Array {
  const anchor = Buffer.alloc(0x1f);
  anchor.write('_SM_', 0, 'ascii');
  anchor[5] = anchor.length;
  anchor[6] = 2;
  anchor[7] = 8;
  anchor.writeUInt16LE(largest, 8);
  anchor.write('_DMI_', 0x10, 'ascii');
  anchor.writeUInt16LE(length, 0x16);
  anchor.writeUInt16LE(count, 0x1c);
  anchor[0x1e] = 0x28;
  anchor[0x15] = checksum(anchor.subarray(0x10));
  anchor[4] = checksum(anchor);
  return anchor;
}

function structures({ name, uuid, sockets, cores, threads, memory, ram }: SmbiosFacts): Uint8Array[] {
  const processors = Array.from({ length: sockets }, (_, socket) => processor(socket, cores, threads));
  return [
    // Wakes up by the power switch.
    structure(
      TYPE.system,
      HANDLE.system,
      [MANUFACTURER, PRODUCT, name],
      [1, 2, 3, 0],
      uuidBytes(uuid ?? uuidOf(name)),
      [6, 0, 0],
    ),
    // Type other; boot-up, power and thermal states safe; security none.
    structure(TYPE.chassis, HANDLE.chassis, [MANUFACTURER], [1, 1, 0, 0, 0, 3, 3, 3, 2], new Uint8Array(9)),
    ...processors,
    // System memory, on a board, with ECC.
    structure(
      ...([TYPE.memoryArray, HANDLE.array, []] as const),
      [1, 3, 6],
      ...[little(0x8000_0000, 4), little(NO_ERROR, 2), little(1, 2), little(memory, 8)],
    ),
    memoryDevice(memory),
    ...ram.map(({ address, size }, index) =>
      structure(
        ...([TYPE.arrayAddress, HANDLE.map + index, []] as const),
        // The numbers of 32 bits refer to those of 64 bits, in bytes.
        ...[little(0xffff_ffff, 4), little(0xffff_ffff, 4), little(HANDLE.array, 2), [1]],
        ...[little(address, 8), little(address + size - 1, 8)],
      ),
    ),
    structure(TYPE.bootInfo, 0x2000, [], new Uint8Array(7)),
    structure(TYPE.end, 0x7f00, []),
  ];
}

/** §7.5: enabled, in a populated socket. Its speeds are not known. */
function processor(socket: number, cores: number, threads: number): Uint8Array {
  const count = (value: number) => Math.min(value, 0xff);
  return structure(
    ...([TYPE.processor, HANDLE.processor + socket, [`CPU ${socket}`, MANUFACTURER]] as const),
    ...[[1, 3, 1, 2], new Uint8Array(8), [0, 0], little(0, 6), [0x41, 1]],
    ...[little(NO_HANDLE, 2), little(NO_HANDLE, 2), little(NO_HANDLE, 2), [0, 0, 0]],
    ...[[count(cores), count(cores), count(cores * threads)], little(0, 2), little(1, 2)],
  );
}

/** §7.18: one module with all of it. */
function memoryDevice(memory: number): Uint8Array {
  const mib = memory / MiB;
  const EXTENDED = 0x7fff;
  return structure(
    ...([TYPE.memoryDevice, HANDLE.device, ['DIMM 0', MANUFACTURER]] as const),
    ...[little(HANDLE.array, 2), little(NO_ERROR, 2), little(0xffff, 2), little(0xffff, 2)],
    ...[little(mib < EXTENDED ? mib : EXTENDED, 2), [9, 0, 1, 0, 7], little(2, 2), little(0, 2)],
    ...[[2, 0, 0, 0, 0], little(mib, 4), new Uint8Array(8)],
  );
}

/** A structure: type, length, handle, body, then its strings (§6.1). */
function structure(
  type: number,
  handle: number,
  strings: readonly string[],
  ...body: readonly (Uint8Array | readonly number[])[]
): Uint8Array {
  const formatted = concat(...body);
  const text =
    strings.length === 0 ? [0] : Buffer.from(strings.map(string => `${string}\0`).join(''), 'latin1');
  return concat([type, formatted.length + 4], little(handle, 2), formatted, text, [0]);
}

/** The first three fields are little endian (§7.2.1). */
function uuidBytes(uuid: string): Uint8Array {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

/** A UUID of version 8 (RFC 9562 §5.8) that a VM of this name always has. */
export function uuidOf(name: string): string {
  const bytes = createHash('sha256').update(`vring ${name}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
