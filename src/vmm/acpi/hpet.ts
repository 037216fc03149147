import type { HpetPlace } from '../../devices/acpi/acpi-parts.ts';
import { concat, little } from '../../devices/acpi/aml.ts';
import { systemTable } from './table.ts';

const SYSTEM_MEMORY = 0;
const REGISTER_BITS = 64;
/** The shortest period that loses no ticks, in ticks of the counter: the same as QEMU's. */
const LEAST_TICKS = 0;
const NO_PROTECTION = 0;

/** HPET description table (IA-PC HPET Specification 1.0a §3.2.4) for the only block. */
export function hpetTable({ blockId, address }: HpetPlace): Uint8Array {
  const body = concat(
    little(blockId, 4),
    [SYSTEM_MEMORY, REGISTER_BITS, 0, 0],
    little(address, 8),
    [0],
    little(LEAST_TICKS, 2),
    [NO_PROTECTION],
  );
  return systemTable('HPET', 1, body);
}
