/**
 * Text from a device, firmware or file, made safe for a terminal: without C0 and C1 control characters (which include
 * escape sequences), bidirectional overrides and surrounding blanks.
 */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '').trim();
}

/** `KEY=value` lines, as in uevent files and /etc/os-release; quotes around a value are removed. */
export function keyValues(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals <= 0 || line.startsWith('#')) continue;
    const value = line.slice(equals + 1).trim();
    const quoted = /^(["'])(.*)\1$/.exec(value);
    values.set(line.slice(0, equals).trim(), quoted ? quoted[2]! : value);
  }
  return values;
}

/** A decimal or 0x number, or null for anything else. */
export function integer(text: string | null): number | null {
  if (text === null) return null;
  const trimmed = text.trim();
  return /^-?(\d+|0x[0-9a-f]+)$/i.test(trimmed) ? Number(trimmed) : null;
}

/** `0x8086` or `8086` as `8086`: lower case, at least four digits. */
export function hexId(text: string): string {
  return text.trim().replace(/^0x/i, '').toLowerCase().padStart(4, '0');
}

let collator: Intl.Collator | null = null;

/** Orders `eth2` before `eth10`. */
export function natural(a: string, b: string): number {
  // Created on first use: this takes milliseconds, and starting a VM does not need it.
  collator ??= new Intl.Collator('en', { numeric: true });
  return collator.compare(a, b);
}

/** `a`, `a and b`, `a, b and c`. */
export function sentenceList(words: readonly string[]): string {
  if (words.length <= 1) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
