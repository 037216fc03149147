/** Registers of the block (IA-PC HPET Specification 1.0a §2.3): offsets, 64 bits each. */
export const REG = {
  capabilities: 0x000,
  config: 0x010,
  status: 0x020,
  counter: 0x0f0,
  /** Registers of timer 0; those of the others follow. */
  timers: 0x100,
  timerSize: 0x20,
  /** Offsets within a timer's registers. */
  timerConfig: 0x00,
  timerComparator: 0x08,
  size: 0x400,
} as const;

/** QEMU's 100 MHz. */
export const TICK_NS = 10n;
const FEMTOSECONDS_PER_TICK = 10_000_000;

export const TIMERS = 3;
const REVISION = 1;
const COUNTER_64 = 1 << 13;
const LEGACY_CAPABLE = 1 << 15;
const INTEL = 0x8086;
/** The low half of the capabilities, which is also in the ACPI table. */
export const BLOCK_ID = ((INTEL << 16) | LEGACY_CAPABLE | COUNTER_64 | ((TIMERS - 1) << 8) | REVISION) >>> 0;
export const CAPABILITIES = (BigInt(FEMTOSECONDS_PER_TICK) << 32n) | BigInt(BLOCK_ID);

export const CONFIG = { enable: 1, legacy: 2 } as const;
export const CONFIG_BITS = CONFIG.enable | CONFIG.legacy;

/** §2.3.8. */
export const TIMER = {
  level: 1 << 1,
  interrupts: 1 << 2,
  periodic: 1 << 3,
  setValue: 1 << 6,
  mode32: 1 << 8,
  routeShift: 9,
  route: 0x1f << 9,
} as const;
const PERIODIC_CAPABLE = 1 << 4;
const SIZE_64 = 1 << 5;
/** Inputs of the IOAPIC that no PCI interrupt is wired to, as on an ICH9 (data sheet §5.17.4). */
export const ROUTES = 0x00f0_0000;
export const TIMER_WRITABLE =
  TIMER.level | TIMER.interrupts | TIMER.periodic | TIMER.setValue | TIMER.mode32 | TIMER.route;
export const TIMER_FIXED = PERIODIC_CAPABLE | SIZE_64;
