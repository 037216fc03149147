import { concat, little } from '../../devices/acpi/aml.ts';
import { ECAM } from '../memory/layout.ts';
import { systemTable } from './table.ts';

/** Memory-mapped configuration space table (PCI Firmware Specification 3.0 §4.1.2): segment 0, buses from 0 up. */
export function mcfg({
  start,
  buses,
}: {
  readonly start: number;
  readonly buses: number;
} = ECAM): Uint8Array {
  const allocation = concat(little(start, 8), little(0, 2), [0, buses - 1], little(0, 4));
  return systemTable('MCFG', 1, concat(new Uint8Array(8), allocation));
}
