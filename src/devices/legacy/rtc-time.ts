/** The clock's time registers (Motorola MC146818A data sheet, table 3), and the PC's century register. */
export const TIME = {
  seconds: 0x00,
  minutes: 0x02,
  hours: 0x04,
  weekday: 0x06,
  day: 0x07,
  month: 0x08,
  year: 0x09,
  century: 0x32,
} as const;

export const TIME_REGISTERS: readonly number[] = Object.values(TIME);

/** Register B, data mode: binary rather than BCD. */
export const B_BINARY = 0x04;
/** Register B: hours run from 0 to 23, rather than from 1 to 12 with bit 7 for the afternoon. */
export const B_24_HOURS = 0x02;

const PM = 0x80;

/** The register's value at `ms` (UTC, milliseconds since 1970), in the format selected by register B. */
export function encodeTime(register: number, ms: number, b: number): number {
  const date = new Date(ms);
  const year = Math.max(0, date.getUTCFullYear());
  switch (register) {
    case TIME.seconds:
      return encode(date.getUTCSeconds(), b);
    case TIME.minutes:
      return encode(date.getUTCMinutes(), b);
    case TIME.hours:
      return encodeHours(date.getUTCHours(), b);
    case TIME.weekday:
      return encode(date.getUTCDay() + 1, b);
    case TIME.day:
      return encode(date.getUTCDate(), b);
    case TIME.month:
      return encode(date.getUTCMonth() + 1, b);
    case TIME.year:
      return encode(year % 100, b);
    default:
      return encode(Math.floor(year / 100) % 100, b);
  }
}

/** The time in the registers, UTC in milliseconds. Fields out of range carry over: February 30 is March 2. */
export function decodeTime(register: (index: number) => number, b: number): number {
  const year = 100 * decode(register(TIME.century), b) + decode(register(TIME.year), b);
  const date = new Date(0);
  date.setUTCFullYear(year, decode(register(TIME.month), b) - 1, decode(register(TIME.day), b));
  const hours = decodeHours(register(TIME.hours), b);
  return date.setUTCHours(hours, decode(register(TIME.minutes), b), decode(register(TIME.seconds), b), 0);
}

function encode(value: number, b: number): number {
  return b & B_BINARY ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function decode(value: number, b: number): number {
  return b & B_BINARY ? value : (value >> 4) * 10 + (value & 0xf);
}

function encodeHours(hours: number, b: number): number {
  if (b & B_24_HOURS) return encode(hours, b);
  return encode(hours % 12 || 12, b) | (hours >= 12 ? PM : 0);
}

function decodeHours(value: number, b: number): number {
  if (b & B_24_HOURS) return decode(value, b);
  return (decode(value & ~PM, b) % 12) + (value & PM ? 12 : 0);
}
