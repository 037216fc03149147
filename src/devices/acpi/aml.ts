/**
 * ACPI Machine Language (ACPI 6.5 §20.2): each function returns one encoded term. Paths are written as in ASL:
 * `\_S5`, `_HID`, `^PCI0.COM1`; name segments shorter than 4 characters are padded with `_`.
 */
export type Aml = Uint8Array;

const OP = {
  name: 0x08,
  byte: 0x0a,
  word: 0x0b,
  dword: 0x0c,
  string: 0x0d,
  qword: 0x0e,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  dualName: 0x2e,
  multiName: 0x2f,
  extended: 0x5b,
  device: 0x82,
} as const;

/** A declaration `Name (path, value)`. */
export function name(path: string, value: Aml): Aml {
  return concat([OP.name], nameString(path), value);
}

export function scope(path: string, ...terms: Aml[]): Aml {
  return withLength([OP.scope], concat(nameString(path), ...terms));
}

export function device(path: string, ...terms: Aml[]): Aml {
  return withLength([OP.extended, OP.device], concat(nameString(path), ...terms));
}

/** At most 255 elements. */
export function packageOf(...elements: Aml[]): Aml {
  if (elements.length > 255) throw new RangeError(`a package of ${elements.length} elements`);
  return withLength([OP.package], concat([elements.length], ...elements));
}

export function buffer(bytes: Uint8Array): Aml {
  return withLength([OP.buffer], concat(integer(bytes.length), bytes));
}

/** An unsigned integer of at most 64 bits, in the shortest form (0 and 1 have opcodes of their own). */
export function integer(value: number | bigint): Aml {
  const big = BigInt(value);
  if (big < 0n || big >= 1n << 64n) throw new RangeError(`${value} is not an unsigned 64-bit number`);
  if (big <= 1n) return Uint8Array.of(Number(big));
  if (big < 1n << 8n) return concat([OP.byte], little(big, 1));
  if (big < 1n << 16n) return concat([OP.word], little(big, 2));
  if (big < 1n << 32n) return concat([OP.dword], little(big, 4));
  return concat([OP.qword], little(big, 8));
}

/** ASCII. */
export function string(text: string): Aml {
  return concat([OP.string], Buffer.from(text, 'ascii'), [0]);
}

/** `EisaId ("PNP0A08")`: three letters of 5 bits, then the product in hexadecimal, as a big-endian double word. */
export function eisaId(id: string): Aml {
  const match = /^([A-Z])([A-Z])([A-Z])([0-9A-F]{4})$/.exec(id);
  if (!match) throw new RangeError(`"${id}" is not an EISA id`);
  const letter = (index: number) => match[index]!.charCodeAt(0) - 0x40;
  const vendor = (letter(1) << 10) | (letter(2) << 5) | letter(3);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(vendor, 0);
  bytes.writeUInt16BE(Number.parseInt(match[4]!, 16), 2);
  return concat([OP.dword], bytes);
}

/** The bytes of `value`, lowest first. */
export function little(value: number | bigint, size: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes.subarray(0, size);
}

export function concat(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  return Buffer.concat(parts.map(part => Uint8Array.from(part)));
}

export function nameString(path: string): Uint8Array {
  const [, prefix, rest] = /^(\\|\^*)(.*)$/.exec(path)!;
  const segments = rest === '' ? [] : rest!.split('.');
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new RangeError(`"${path}" is not an ACPI name`);
  }
  const names = Buffer.from(segments.map(segment => segment.padEnd(4, '_')).join(''), 'ascii');
  return concat(Buffer.from(prefix!, 'ascii'), segmentPrefix(segments.length), names);
}

function segmentPrefix(count: number): number[] {
  if (count === 0) return [0];
  if (count === 1) return [];
  return count === 2 ? [OP.dualName] : [OP.multiName, count];
}

/** PkgLength (§20.2.4) counts itself: 6 bits in one byte, else 4 bits and one to three whole bytes. */
export function withLength(opcode: readonly number[], body: Uint8Array): Aml {
  if (body.length + 1 < 1 << 6) return concat(opcode, [body.length + 1], body);
  for (let extra = 1; extra <= 3; extra++) {
    const total = body.length + 1 + extra;
    if (total >= 1 << (4 + 8 * extra)) continue;
    return concat(opcode, [(extra << 6) | (total & 0xf)], little(total >>> 4, extra), body);
  }
  throw new RangeError(`an AML term of ${body.length} bytes`);
}
