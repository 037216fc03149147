import { concat } from './aml.ts';

const HEADER = 36;
const CHECKSUM = 9;
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

/** Root System Description Pointer, revision 2 (§5.2.5.3). */
export function rootPointer(xsdt: number): Uint8Array {
  const rsdp = Buffer.alloc(36);
  rsdp.write('RSD PTR ', 0, 8, 'ascii');
  rsdp.write(OEM_ID, 9, 6, 'ascii');
  rsdp[15] = 2;
  rsdp.writeUInt32LE(rsdp.length, 20);
  rsdp.writeBigUInt64LE(BigInt(xsdt), 24);
  // The first checksum covers what ACPI 1.0 had: 20 bytes.
  rsdp[8] = checksum(rsdp.subarray(0, 20));
  rsdp[32] = checksum(rsdp);
  return rsdp;
}

/** The value that makes all bytes sum to zero. The checksum byte itself must still be zero. */
function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
