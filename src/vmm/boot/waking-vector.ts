import { type GuestMemory, GuestMemoryError } from '../../devices/guest-memory.ts';
import { RSDP } from '../acpi/table.ts';
import { ACPI_TABLES } from '../memory/layout.ts';
import { BootError } from './boot-error.ts';

/** Offsets in the tables (ACPI 6.5 §5.2.8, §5.2.9, §5.2.10). */
const XSDT_ENTRIES = 36;
const FADT = { signature: 'FACP', facs: 36 } as const;
const FACS = { vector: 12, extendedVector: 24 } as const;
/** Limit of a root table's entries. */
const MAX_TABLES = 64;
const REAL_MODE_END = 2 ** 20;

/**
 * Where a directly booted guest wants to continue in real mode after S3: the waking vector of the FACS. The guest may
 * have written anything into the tables.
 * @throws BootError if there is none, or one that asks for protected mode
 */
export function wakingVector(memory: GuestMemory): number {
  const { vector, extended } = readVectors(memory);
  if (extended !== 0n)
    throw new BootError('the guest wants to be woken up in protected mode, by the X_Firmware_Waking_Vector');
  if (vector === 0 || vector >= REAL_MODE_END) {
    const text = `0x${vector.toString(16)}`;
    throw new BootError(`the guest has set the waking vector ${text}, which is not a real-mode address`);
  }
  return vector;
}

function readVectors(memory: GuestMemory) {
  const u64 = (address: number) => Number(memory.readU64(address));
  try {
    const xsdt = u64(ACPI_TABLES.start + RSDP.xsdt);
    const tables = Array.from({ length: MAX_TABLES }, (_, index) => XSDT_ENTRIES + 8 * index);
    const end = Math.min(memory.readU32(xsdt + 4), XSDT_ENTRIES + 8 * MAX_TABLES);
    const addresses = tables.filter(at => at + 8 <= end).map(at => u64(xsdt + at));
    const fadt = addresses.find(at => signature(memory, at) === FADT.signature);
    if (fadt === undefined) throw new BootError('the guest has overwritten its ACPI tables');
    const facs = memory.readU32(fadt + FADT.facs);
    return {
      vector: memory.readU32(facs + FACS.vector),
      extended: memory.readU64(facs + FACS.extendedVector),
    };
  } catch (error) {
    if (!(error instanceof GuestMemoryError)) throw error;
    throw new BootError('the guest has overwritten its ACPI tables');
  }
}

function signature(memory: GuestMemory, address: number): string {
  return Buffer.from(memory.readable(address, 4)).toString('latin1');
}
