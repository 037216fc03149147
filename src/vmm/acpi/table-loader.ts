import type { GuestMemory } from '../../devices/guest-memory.ts';
import { checksum } from './table.ts';

/**
 * A step of placing tables in guest memory. Steps are those of fw_cfg's `etc/table-loader` (QEMU,
 * hw/acpi/bios-linker-loader.c), which firmware carries out; for a kernel that boots directly, `loadTables` does.
 */
export type LoaderCommand =
  /** `low`: where a guest searches for the RSDP, 0xe0000-0xfffff (ACPI 6.5 §5.2.5.1). */
  | {
      readonly kind: 'allocate';
      readonly file: string;
      readonly alignment: number;
      readonly zone: 'low' | 'any';
    }
  /** Adds the address of the file `to` to the little-endian number at `offset`, which is an offset in that file. */
  | {
      readonly kind: 'add-pointer';
      readonly file: string;
      readonly to: string;
      readonly offset: number;
      readonly size: 4 | 8;
    }
  /** Changes the byte at `offset` so that the bytes [start, start + length) add up to zero. */
  | {
      readonly kind: 'add-checksum';
      readonly file: string;
      readonly offset: number;
      readonly start: number;
      readonly length: number;
    };

/** Tables, and how to place them. Their contents do not depend on their addresses. */
export type TableFiles = {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly commands: readonly LoaderCommand[];
};

/** Free guest memory. */
export type TableZone = { readonly start: number; readonly size: number };

/**
 * Places the tables in a zone of guest memory.
 * @returns the address of each file. @throws RangeError if they do not fit
 */
export function loadTables(
  { files, commands }: TableFiles,
  memory: GuestMemory,
  zone: TableZone,
): ReadonlyMap<string, number> {
  const placed = new Map<string, number>();
  const addressOf = (file: string): number => {
    const address = placed.get(file);
    if (address === undefined) throw new RangeError(`${file} has not been allocated`);
    return address;
  };
  const bytesOf = (file: string, offset: number, length: number): Uint8Array => {
    if (offset + length > files.get(file)!.length)
      throw new RangeError(`${file} has no ${length} bytes at ${offset}`);
    return memory.writable(addressOf(file) + offset, length);
  };
  let next = zone.start;
  for (const command of commands) {
    const { kind, file } = command;
    switch (kind) {
      case 'allocate': {
        const bytes = files.get(file);
        if (bytes === undefined) throw new RangeError(`there is no file ${file}`);
        const address = Math.ceil(next / command.alignment) * command.alignment;
        next = address + bytes.length;
        if (next > zone.start + zone.size) {
          throw new RangeError(
            `the ACPI tables have ${next - zone.start} bytes, but ${zone.size} are reserved for them`,
          );
        }
        memory.writable(address, bytes.length).set(bytes);
        placed.set(file, address);
        break;
      }
      case 'add-pointer': {
        const bytes = Buffer.from(bytesOf(file, command.offset, command.size));
        const offset = command.size === 4 ? BigInt(bytes.readUInt32LE()) : bytes.readBigUInt64LE();
        const pointer = offset + BigInt(addressOf(command.to));
        if (command.size === 4) bytes.writeUInt32LE(Number(pointer));
        else bytes.writeBigUInt64LE(pointer);
        bytesOf(file, command.offset, command.size).set(bytes);
        break;
      }
      case 'add-checksum': {
        const byte = bytesOf(file, command.offset, 1);
        byte[0] = byte[0]! + checksum(bytesOf(file, command.start, command.length));
        break;
      }
    }
  }
  return placed;
}
