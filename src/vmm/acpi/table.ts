import { concat } from '../../devices/acpi/aml.ts';

const HEADER = 36;
export const CHECKSUM = 9;
const OEM_ID = 'VRING ';
const OEM_TABLE_ID = 'VRINGVMM';
const CREATOR_ID = 'VRNG';

/** A system description table: the common header (ACPI 6.5 §5.2.6), then `body`. */
export function systemTable(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const header = Buffer.alloc(HEADER);
  header.write(signature, 0, 4, 'ascii');
  header.writeUInt32LE(HEADER + body.length, 4);
  header[8] = revision;
  header.write(OEM_ID, 10, 6, 'ascii');
  header.write(OEM_TABLE_ID, 16, 8, 'ascii');
  header.writeUInt32LE(1, 24);
  header.write(CREATOR_ID, 28, 4, 'ascii');
  header.writeUInt32LE(1, 32);
  const table = concat(header, body);
  table[CHECKSUM] = checksum(table);
  return table;
}

/**
 * The RSDP (§5.2.5.3): the offsets of the fields that its loader fills in, and the length of the ACPI 1.0 part, which
 * has its own checksum.
 */
export const RSDP = {
  checksum: 8,
  rsdt: 16,
  xsdt: 24,
  extendedChecksum: 32,
  firstLength: 20,
  length: 36,
} as const;

/** Root System Description Pointer, revision 2, without pointer and checksums. */
export function rootPointer(): Uint8Array {
  const rsdp = Buffer.alloc(RSDP.length);
  rsdp.write('RSD PTR ', 0, 8, 'ascii');
  rsdp.write(OEM_ID, 9, 6, 'ascii');
  rsdp[15] = 2;
  rsdp.writeUInt32LE(rsdp.length, 20);
  return rsdp;
}

/** What must be added to the sum of the bytes to make it zero. */
export function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
