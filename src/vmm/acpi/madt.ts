import { concat, little } from '../../devices/acpi/aml.ts';
import { IOAPIC, IRQ, LAPIC } from '../memory/layout.ts';
import { systemTable } from './table.ts';

/** Interrupt controller structure types (ACPI 6.5 §5.2.12). */
const LOCAL_APIC = 0;
const IO_APIC = 1;
const SOURCE_OVERRIDE = 2;
const LOCAL_APIC_NMI = 4;

/** The machine also has two 8259 PICs. */
const PCAT_COMPAT = 1;
/** Flags of a processor (table 5.22): present; or absent, but may be added while the machine runs. */
const ENABLED = 1 << 0;
const ONLINE_CAPABLE = 1 << 1;
/** MPS INTI flags (table 5.26). */
const AS_THE_BUS = 0;
const LEVEL_HIGH = 0b1101;
const ISA = 0;
/** The IOAPIC input to which the PIT's interrupt is wired. */
const TIMER_GSI = 2;
const ALL_PROCESSORS = 0xff;
const NMI_LINT = 1;

/**
 * Multiple APIC Description Table.
 * @param apicIds by vCPU @param isPresent whether a vCPU is present; the others may be added later
 */
export function madt(apicIds: readonly number[], isPresent: (index: number) => boolean): Uint8Array {
  const processors = apicIds.map((id, index) =>
    isPresent(index) ? presentProcessor(index, id) : localApic(index, id, ONLINE_CAPABLE),
  );
  const body = concat(
    little(LAPIC, 4),
    little(PCAT_COMPAT, 4),
    ...processors,
    entry(IO_APIC, [0, 0], little(IOAPIC, 4), little(0, 4)),
    sourceOverride(IRQ.timer, TIMER_GSI, AS_THE_BUS),
    sourceOverride(IRQ.sci, IRQ.sci, LEVEL_HIGH),
    entry(LOCAL_APIC_NMI, [ALL_PROCESSORS], little(AS_THE_BUS, 2), [NMI_LINT]),
  );
  return systemTable('APIC', 5, body);
}

/** The entry of a present processor, which its device repeats (ACPI 6.5 §6.2.10). */
export function presentProcessor(index: number, apicId: number): Uint8Array {
  return localApic(index, apicId, ENABLED);
}

function localApic(index: number, apicId: number, flags: number): Uint8Array {
  return entry(LOCAL_APIC, [index, apicId], little(flags, 4));
}

function sourceOverride(irq: number, gsi: number, flags: number): Uint8Array {
  return entry(SOURCE_OVERRIDE, [ISA, irq], little(gsi, 4), little(flags, 2));
}

function entry(type: number, ...parts: (Uint8Array | number[])[]): Uint8Array {
  const body = concat(...parts);
  return concat([type, body.length + 2], body);
}
