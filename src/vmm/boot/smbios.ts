import { concat, little } from '../../devices/acpi/aml.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import { checksum } from '../acpi/table.ts';
import type { TableFiles } from '../acpi/table-loader.ts';
import { coresOnly, maxCpus } from '../cpu/cpu-topology.ts';
import type { MachineConfig } from '../machine/config.ts';
import { uuidOf } from '../machine/vm-uuid.ts';
import type { MapEntry } from './memory-map.ts';
import type { SmbiosOptions } from './smbios-options.ts';
import { structure, uuidBytes } from './smbios-structure.ts';

/** The facts in a machine's tables. */
export type SmbiosFacts = {
  readonly name: string;
  /** RFC 9562 text; default: derived from the name. */
  readonly uuid?: string | undefined;
  /** Sockets, and what is in each. */
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  /** Bytes. */
  readonly memory: number;
  /** The ranges of RAM. */
  readonly ram: readonly Pick<MapEntry, 'address' | 'size'>[];
  /** Overrides of the defaults. */
  readonly options?: SmbiosOptions | undefined;
};

type Options<Key extends keyof SmbiosOptions> = NonNullable<SmbiosOptions[Key]>;

const MiB = 2 ** 20;
const MANUFACTURER = 'vring';
const PRODUCT = 'Standard PC (Q35 + ICH9)';

/** Types of structures (DSP0134 SMBIOS 2.8 §7). */
const TYPE = {
  bios: 0,
  system: 1,
  board: 2,
  chassis: 3,
  processor: 4,
  oemStrings: 11,
  memoryArray: 16,
  memoryDevice: 17,
  arrayAddress: 19,
  bootInfo: 32,
  end: 127,
} as const;
const HANDLE = {
  bios: 0x000,
  system: 0x100,
  board: 0x200,
  chassis: 0x300,
  processor: 0x400,
  oemStrings: 0xe00,
  array: 0x1000,
  device: 0x1100,
  map: 0x1300,
};
/** No error information, and no cache. */
const NO_ERROR = 0xfffe;
const NO_HANDLE = 0xffff;

/** Names of the table files, as in QEMU. */
export const SMBIOS_FILES = {
  anchor: 'etc/smbios/smbios-anchor',
  tables: 'etc/smbios/smbios-tables',
} as const;

/** The SMBIOS facts of a machine. */
export function smbiosFacts(config: MachineConfig, { regions }: Pick<GuestMemory, 'regions'>): SmbiosFacts {
  const { name, uuid, memory, smbios: options } = config;
  const { sockets, cores, threads } = config.topology ?? coresOnly(maxCpus(config));
  return { name, uuid, sockets, cores, threads, memory: memory.bytes, ram: regions, options };
}

/** The tables with the steps that place them, for a kernel that boots directly. */
export function smbiosFiles(facts: SmbiosFacts): TableFiles {
  const { anchor, tables } = smbios(facts);
  const file = SMBIOS_FILES.anchor;
  return {
    files: new Map([
      [file, anchor],
      [SMBIOS_FILES.tables, tables],
    ]),
    commands: [
      { kind: 'allocate', file, alignment: 16, zone: 'low' },
      { kind: 'allocate', file: SMBIOS_FILES.tables, alignment: 16, zone: 'low' },
      { kind: 'add-pointer', file, to: SMBIOS_FILES.tables, offset: ANCHOR.address, size: 4 },
      {
        kind: 'add-checksum',
        file,
        offset: ANCHOR.tablesChecksum,
        start: ANCHOR.second,
        length: ANCHOR.size - ANCHOR.second,
      },
      { kind: 'add-checksum', file, offset: ANCHOR.checksum, start: 0, length: ANCHOR.size },
    ],
  };
}

/**
 * The SMBIOS tables as files of fw_cfg, `etc/smbios/smbios-tables` and its entry point. Firmware fills in the address
 * and adds a structure about itself (type 0).
 */
export function smbios(facts: SmbiosFacts): { readonly anchor: Uint8Array; readonly tables: Uint8Array } {
  const list = structures(facts);
  const tables = concat(...list);
  const largest = Math.max(...list.map(({ length }) => length));
  return { anchor: entryPoint(tables.length, list.length, largest), tables };
}

/** The entry point (§5.2.1): its second part has its own checksum, and the address of the tables. */
const ANCHOR = { checksum: 4, second: 0x10, tablesChecksum: 0x15, address: 0x18, size: 0x1f } as const;

/** §5.2.1, without the address; firmware corrects the checksums. */
function entryPoint(length: number, count: number, largest: number): Uint8Array {
  const anchor = Buffer.alloc(ANCHOR.size);
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

function structures(facts: SmbiosFacts): Uint8Array[] {
  const { name, uuid, sockets, cores, threads, memory, ram, options = {} } = facts;
  const processors = Array.from({ length: sockets }, (_, socket) =>
    processor(socket, cores, threads, options.processor),
  );
  return [
    ...(options.bios ? [bios(options.bios)] : []),
    system(name, uuid ?? uuidOf(name), options.system),
    ...(options.board ? [board(options.board)] : []),
    chassis(options.chassis),
    ...processors,
    ...(options['oem-strings']?.length ? [oemStrings(options['oem-strings'])] : []),
    // System memory, on a board, with ECC.
    structure(TYPE.memoryArray, HANDLE.array, () => [
      [1, 3, 6],
      ...[little(0x8000_0000, 4), little(NO_ERROR, 2), little(1, 2), little(memory, 8)],
    ]),
    memoryDevice(memory, options.memory),
    ...ram.map(({ address, size }, index) =>
      structure(TYPE.arrayAddress, HANDLE.map + index, () => [
        // The 32-bit fields refer to the 64-bit ones, in bytes.
        ...[little(0xffff_ffff, 4), little(0xffff_ffff, 4), little(HANDLE.array, 2), [1]],
        ...[little(address, 8), little(address + size - 1, 8)],
      ]),
    ),
    structure(TYPE.bootInfo, 0x2000, () => [new Uint8Array(7)]),
    structure(TYPE.end, 0x7f00, () => []),
  ];
}

/** §7.1. PCI, boots from CDs, and the boot device is selectable; the ROM has 64 KiB. */
function bios({ vendor, version, date, release, uefi }: Options<'bios'>): Uint8Array {
  const PCI_AND_BOOT = 0x1_8080;
  const UEFI_AND_VM = (uefi ? 1 << 3 : 0) | (1 << 4);
  const [major, minor] = release?.split('.').map(Number) ?? [0xff, 0xff];
  return structure(TYPE.bios, HANDLE.bios, strings => [
    [strings.add(vendor), strings.add(version), ...little(0xe800, 2), strings.add(date), 0],
    ...[little(PCI_AND_BOOT, 8), [0, UEFI_AND_VM, major!, minor!, 0xff, 0xff]],
  ]);
}

/** §7.2. Woken up by the power switch. */
function system(name: string, uuid: string, given: Options<'system'> = {}): Uint8Array {
  const { manufacturer = MANUFACTURER, product = PRODUCT, version = name, serial, sku, family } = given;
  return structure(TYPE.system, HANDLE.system, strings => [
    [strings.add(manufacturer), strings.add(product), strings.add(version), strings.add(serial)],
    uuidBytes(uuid),
    [6, strings.add(sku), strings.add(family)],
  ]);
}

/** §7.3: a motherboard that hosts everything, in the chassis. */
function board(given: Options<'board'>): Uint8Array {
  const { manufacturer = MANUFACTURER, product, version, serial, asset, location } = given;
  return structure(TYPE.board, HANDLE.board, strings => [
    [manufacturer, product, version, serial, asset].map(text => strings.add(text)),
    [1, strings.add(location), ...little(HANDLE.chassis, 2), 0x0a, 0],
  ]);
}

/** §7.4. Type other; boot-up, power and thermal states safe; security none. */
function chassis(given: Options<'chassis'> = {}): Uint8Array {
  const { manufacturer = MANUFACTURER, version, serial, asset, sku } = given;
  return structure(TYPE.chassis, HANDLE.chassis, strings => [
    [strings.add(manufacturer), 1, strings.add(version), strings.add(serial), strings.add(asset)],
    ...[[3, 3, 3, 2], new Uint8Array(8), [strings.add(sku)]],
  ]);
}

/** §7.5: enabled, in a populated socket. Its speeds are unknown unless given. */
function processor(
  socket: number,
  cores: number,
  threads: number,
  given: Options<'processor'> = {},
): Uint8Array {
  const { socket: prefix = 'CPU', manufacturer = MANUFACTURER, version, serial, asset, part } = given;
  const { 'max-speed': maxSpeed = 0, 'current-speed': speed = 0 } = given;
  const count = (value: number) => Math.min(value, 0xff);
  return structure(TYPE.processor, HANDLE.processor + socket, strings => [
    [strings.add(`${prefix} ${socket}`), 3, 1, strings.add(manufacturer)],
    ...[new Uint8Array(8), [strings.add(version), 0]],
    ...[little(0, 2), little(maxSpeed, 2), little(speed, 2), [0x41, 1]],
    ...[little(NO_HANDLE, 2), little(NO_HANDLE, 2), little(NO_HANDLE, 2)],
    [strings.add(serial), strings.add(asset), strings.add(part)],
    ...[[count(cores), count(cores), count(cores * threads)], little(0, 2), little(1, 2)],
  ]);
}

/** §7.12: each string is one of the vendor's, in order, including duplicates. */
function oemStrings(texts: readonly string[]): Uint8Array {
  return structure(TYPE.oemStrings, HANDLE.oemStrings, strings => {
    for (const text of texts) strings.append(text);
    return [[texts.length]];
  });
}

/** §7.18: a single module. */
function memoryDevice(memory: number, given: Options<'memory'> = {}): Uint8Array {
  const { location = 'DIMM', bank, manufacturer = MANUFACTURER, serial, asset, part, speed = 0 } = given;
  const mib = memory / MiB;
  const EXTENDED = 0x7fff;
  return structure(TYPE.memoryDevice, HANDLE.device, strings => [
    ...[little(HANDLE.array, 2), little(NO_ERROR, 2), little(0xffff, 2), little(0xffff, 2)],
    little(mib < EXTENDED ? mib : EXTENDED, 2),
    [9, 0, strings.add(`${location} 0`), strings.add(bank), 7, ...little(2, 2), ...little(speed, 2)],
    [strings.add(manufacturer), strings.add(serial), strings.add(asset), strings.add(part), 0],
    ...[little(mib, 4), little(speed, 2), new Uint8Array(6)],
  ]);
}
