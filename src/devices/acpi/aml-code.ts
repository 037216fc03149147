/** Statements and expressions of AML methods (ACPI 6.5 §20.2.5): each function returns one encoded term. */
import { type Aml, concat, integer, nameString, withLength } from './aml.ts';

const OP = {
  method: 0x14,
  local0: 0x60,
  arg0: 0x68,
  store: 0x70,
  and: 0x7b,
  notify: 0x86,
  or: 0x7d,
  createDwordField: 0x8a,
  not: 0x92,
  equal: 0x93,
  if: 0xa0,
  else: 0xa1,
  while: 0xa2,
  return: 0xa4,
  extended: 0x5b,
  mutex: 0x01,
  acquire: 0x23,
  release: 0x27,
  operationRegion: 0x80,
  field: 0x81,
} as const;

/** The target of an operation whose value is only returned (NullName). */
const NOWHERE: Aml = Uint8Array.of(0);

/** A serialized control method. @param args the number of its arguments, 0-7 */
export function method(path: string, args: number, ...terms: Aml[]): Aml {
  const SERIALIZED = 0x08;
  return withLength([OP.method], concat(nameString(path), [args | SERIALIZED], ...terms));
}

/** `Arg0` to `Arg6`. */
export function arg(index: number): Aml {
  return Uint8Array.of(OP.arg0 + index);
}

/** `Local0` to `Local7`. */
export function local(index: number): Aml {
  return Uint8Array.of(OP.local0 + index);
}

/** A named object or field. */
export function named(path: string): Aml {
  return nameString(path);
}

/** Names the double word at byte `offset` of a buffer. */
export function dwordField(source: Aml, offset: number, path: string): Aml {
  return concat([OP.createDwordField], source, integer(offset), nameString(path));
}

export function store(value: Aml, target: Aml): Aml {
  return concat([OP.store], value, target);
}

/** `target = a & b`; without a target, only the value. */
export function and(a: Aml, b: Aml, target: Aml = NOWHERE): Aml {
  return concat([OP.and], a, b, target);
}

/** `target = a | b` */
export function or(a: Aml, b: Aml, target: Aml): Aml {
  return concat([OP.or], a, b, target);
}

export function equal(a: Aml, b: Aml): Aml {
  return concat([OP.equal], a, b);
}

export function not(value: Aml): Aml {
  return concat([OP.not], value);
}

export function ifThen(condition: Aml, ...terms: Aml[]): Aml {
  return withLength([OP.if], concat(condition, ...terms));
}

/** Follows an `ifThen`. */
export function otherwise(...terms: Aml[]): Aml {
  return withLength([OP.else], concat(...terms));
}

export function whileTrue(condition: Aml, ...terms: Aml[]): Aml {
  return withLength([OP.while], concat(condition, ...terms));
}

export function giveBack(value: Aml): Aml {
  return concat([OP.return], value);
}

/** Runs a method. */
export function callMethod(path: string, ...args: Aml[]): Aml {
  return concat(nameString(path), ...args);
}

/** Declares a mutex. */
export function mutex(path: string): Aml {
  return concat([OP.extended, OP.mutex], nameString(path), [0]);
}

/** Runs terms while holding a mutex, for which it waits. They must not return. */
export function holding(path: string, ...terms: Aml[]): Aml {
  const FOREVER = 0xffff;
  const acquired = concat([OP.extended, OP.acquire], nameString(path), [FOREVER & 0xff, FOREVER >> 8]);
  return concat(acquired, ...terms, [OP.extended, OP.release], nameString(path));
}

/** Notifies the driver of a device of an event (ACPI 6.5 §5.6.6). */
export function notify(target: Aml, value: Aml): Aml {
  return concat([OP.notify], target, value);
}

/** `OperationRegion (path, SystemIO, start, size)` */
export function portRegion(path: string, start: number, size: number): Aml {
  const SYSTEM_IO = 1;
  return concat(
    [OP.extended, OP.operationRegion],
    nameString(path),
    [SYSTEM_IO],
    integer(start),
    integer(size),
  );
}

/** Names the double words of a region, one after the other. Each is read and written whole. */
export function fields(region: string, paths: readonly string[]): Aml {
  return fieldList(
    region,
    'double words',
    paths.map(path => [path, 32]),
  );
}

/** How fields are accessed (§20.2.5.2): double words as they are; or bytes, whose other bits are written as zeros. */
const ACCESS = { 'double words': 0x03, bytes: 0x41 } as const;

/** Names parts of a region, one after the other: name and number of bits, below 64; null skips them. */
export function fieldList(
  region: string,
  access: keyof typeof ACCESS,
  parts: readonly (readonly [path: string | null, bits: number])[],
): Aml {
  const SKIPPED = [0];
  // Numbers of bits are encoded as a PkgLength of one byte.
  const elements = parts.map(([path, bits]) => concat(path === null ? SKIPPED : nameString(path), [bits]));
  return withLength([OP.extended, OP.field], concat(nameString(region), [ACCESS[access]], ...elements));
}

/** `ToUUID`: the first three parts are little endian (§19.6.143). */
export function uuid(text: string): Uint8Array {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(text);
  if (match === null) throw new RangeError(`"${text}" is not a UUID`);
  const [, a, b, c, d, e] = match;
  const hex = (part: string) => Buffer.from(part, 'hex');
  return concat(hex(a!).reverse(), hex(b!).reverse(), hex(c!).reverse(), hex(d!), hex(e!));
}
