import { GpeBlock } from '../../devices/acpi/gpe-block.ts';
import { IRQ, PORT } from '../memory/layout.ts';
import { systemTable } from './table.ts';

/** ACPI 6.5 §5.2.9, table 5.9: offsets in the whole table. */
const FIELD = {
  firmwareControl: 36,
  dsdt: 40,
  sciInterrupt: 46,
  pm1aEventBlock: 56,
  pm1aControlBlock: 64,
  pmTimerBlock: 76,
  gpe0Block: 80,
  pm1EventLength: 88,
  pm1ControlLength: 89,
  pmTimerLength: 91,
  gpe0Length: 92,
  c2Latency: 96,
  c3Latency: 98,
  century: 108,
  iapcBootArch: 109,
  flags: 112,
  resetRegister: 116,
  resetValue: 128,
  minorVersion: 131,
  extendedFirmwareControl: 132,
  extendedDsdt: 140,
  extendedPm1aEvent: 148,
  extendedPm1aControl: 172,
  extendedPmTimer: 208,
  extendedGpe0: 220,
  size: 276,
} as const;
const HEADER = 36;

/** Table 5.10. The power button is fixed hardware, as its flag is clear; there is no fixed sleep button. */
const WBINVD = 1 << 0;
const PROC_C1 = 1 << 2;
const NO_FIXED_SLEEP_BUTTON = 1 << 5;
const NO_FIXED_RTC_WAKE = 1 << 6;
const TIMER_32_BITS = 1 << 8;
const RESET_REGISTER = 1 << 10;

/** Table 5.11. */
const LEGACY_DEVICES = 1 << 0;
const HAS_8042 = 1 << 1;
const NO_VGA = 1 << 2;

/** The value for the reset register: a hard reset (bit 2, with bit 1). */
const RESET_VALUE = 6;
/** CMOS index of the century. */
const RTC_CENTURY = 0x32;
/** Latencies over 100 and 1000 microseconds mean that the state isn't supported (§5.2.9). */
const NO_C2 = 101;
const NO_C3 = 1001;

/** The FADT's pointers to tables. */
export const FADT_POINTERS = [
  { offset: FIELD.firmwareControl, size: 4 },
  { offset: FIELD.dsdt, size: 4 },
  { offset: FIELD.extendedDsdt, size: 8 },
] as const;

export type FadtOptions = {
  /** Offsets of the tables in the file that contains them all. */
  readonly facs: number;
  readonly dsdt: number;
  readonly has8042: boolean;
  /** Whether the status register reports that the alarm of the real-time clock has woken the machine up. */
  readonly rtcWakes: boolean;
  /** The first power management port, and the first one of the general-purpose events. */
  readonly pmBase?: number;
  readonly gpe0?: number;
};

/** Offsets of the control register and the timer from the event registers. */
const PM = { control: PORT.pm1Control - PORT.pm1Event, timer: PORT.pmTimer - PORT.pm1Event } as const;

/** Fixed ACPI Description Table: always in ACPI mode (no SMI command port), not hardware-reduced. */
export function fadt({
  facs,
  dsdt,
  has8042,
  rtcWakes,
  pmBase = PORT.pm1Event,
  gpe0 = PORT.gpe0,
}: FadtOptions): Uint8Array {
  const table = Buffer.alloc(FIELD.size);
  table.writeUInt32LE(facs, FIELD.firmwareControl);
  table.writeUInt32LE(dsdt, FIELD.dsdt);
  table.writeUInt16LE(IRQ.sci, FIELD.sciInterrupt);
  table.writeUInt32LE(pmBase, FIELD.pm1aEventBlock);
  table.writeUInt32LE(pmBase + PM.control, FIELD.pm1aControlBlock);
  table.writeUInt32LE(pmBase + PM.timer, FIELD.pmTimerBlock);
  table.writeUInt32LE(gpe0, FIELD.gpe0Block);
  table[FIELD.pm1EventLength] = 4;
  table[FIELD.pm1ControlLength] = 2;
  table[FIELD.pmTimerLength] = 4;
  table[FIELD.gpe0Length] = GpeBlock.size;
  table.writeUInt16LE(NO_C2, FIELD.c2Latency);
  table.writeUInt16LE(NO_C3, FIELD.c3Latency);
  table[FIELD.century] = RTC_CENTURY;
  table.writeUInt16LE(LEGACY_DEVICES | (has8042 ? HAS_8042 : 0) | NO_VGA, FIELD.iapcBootArch);
  const features = WBINVD | PROC_C1 | NO_FIXED_SLEEP_BUTTON | TIMER_32_BITS | RESET_REGISTER;
  table.writeUInt32LE(features | (rtcWakes ? 0 : NO_FIXED_RTC_WAKE), FIELD.flags);
  portAddress(table, FIELD.resetRegister, PORT.reset, 1);
  table[FIELD.resetValue] = RESET_VALUE;
  table[FIELD.minorVersion] = 5;
  table.writeBigUInt64LE(BigInt(dsdt), FIELD.extendedDsdt);
  portAddress(table, FIELD.extendedPm1aEvent, pmBase, 4);
  portAddress(table, FIELD.extendedPm1aControl, pmBase + PM.control, 2);
  portAddress(table, FIELD.extendedPmTimer, pmBase + PM.timer, 4);
  portAddress(table, FIELD.extendedGpe0, gpe0, GpeBlock.size);
  return systemTable('FACP', 6, table.subarray(HEADER));
}

/** Firmware ACPI Control Structure (§5.2.10): the global lock, and the waking vectors, which guests fill in. */
export function facs(): Uint8Array {
  const table = Buffer.alloc(64);
  table.write('FACS', 0, 4, 'ascii');
  table.writeUInt32LE(table.length, 4);
  table[32] = 2;
  return table;
}

/** Generic Address Structure (§5.2.3.2) of `size` bytes of ports. */
function portAddress(table: Buffer, at: number, port: number, size: 1 | 2 | 4): void {
  const SYSTEM_IO = 1;
  table[at] = SYSTEM_IO;
  table[at + 1] = size * 8;
  table.writeBigUInt64LE(BigInt(port), at + 4);
}
