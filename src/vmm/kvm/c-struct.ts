/**
 * C struct layouts of the x86-64 ABI, computed from declared fields: each field at the next multiple of its
 * alignment, the size rounded up to the largest alignment. A struct's value is a plain object: 64-bit fields are
 * bigint, the others numbers, arrays of u8 are Uint8Array.
 */
export type Scalar = 'u8' | 'u16' | 'u32' | 's32' | 'u64' | 's64';
export type ArrayField<E extends Scalar | AnyStruct> = { readonly array: E; readonly length: number };
/** Unused bytes: written as zero and left out of values. */
export type Padding = { readonly padding: number };
export type FieldType = Scalar | AnyStruct | ArrayField<Scalar> | ArrayField<AnyStruct> | Padding;
export type Fields = { readonly [name: string]: FieldType };

// biome-ignore lint/suspicious/noExplicitAny: a struct with any fields
export type AnyStruct = Struct<any>;

type ScalarValue<T extends Scalar> = T extends 'u64' | 's64' ? bigint : number;
type FieldValue<T> = T extends Scalar
  ? ScalarValue<T>
  : T extends Struct<infer F>
    ? StructValue<F>
    : T extends ArrayField<infer E>
      ? E extends 'u8'
        ? Uint8Array
        : E extends Scalar
          ? ScalarValue<E>[]
          : E extends Struct<infer F>
            ? StructValue<F>[]
            : never
      : never;

/** The value type of a struct with these fields. */
export type StructValue<F extends Fields> = {
  -readonly [K in keyof F as F[K] extends Padding ? never : K]: FieldValue<F[K]>;
};
/** The value type of a `Struct` constant. */
export type ValueOf<S> = S extends Struct<infer F> ? StructValue<F> : never;

const scalarSizes: Record<Scalar, number> = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8, s64: 8 };

export class Struct<F extends Fields> {
  /** The C type, or the expression that has this type: `struct kvm_regs`. */
  readonly name: string;
  readonly fields: F;
  readonly size: number;
  readonly alignment: number;
  readonly #offsets = new Map<string, number>();

  constructor(name: string, fields: F) {
    this.name = name;
    this.fields = fields;
    let end = 0;
    let alignment = 1;
    for (const [field, type] of Object.entries(fields)) {
      const offset = roundUp(end, alignmentOf(type));
      this.#offsets.set(field, offset);
      end = offset + sizeOf(type);
      alignment = Math.max(alignment, alignmentOf(type));
    }
    this.size = roundUp(end, alignment);
    this.alignment = alignment;
  }

  offset(field: keyof F & string): number {
    return this.#offsets.get(field)!;
  }

  /** The struct at byte `at` of `bytes`, copied. */
  read(bytes: Uint8Array, at = 0): StructValue<F> {
    const value: Record<string, unknown> = {};
    for (const [field, type] of Object.entries(this.fields)) {
      if (isPadding(type)) continue;
      value[field] = readField(type, bytes, at + this.offset(field));
    }
    return value as StructValue<F>;
  }

  /** @throws TypeError naming the field that is missing or has the wrong type. */
  write(bytes: Uint8Array, value: StructValue<F>, at = 0): void {
    bytes.fill(0, at, at + this.size);
    for (const [field, type] of Object.entries(this.fields)) {
      if (isPadding(type)) continue;
      const fieldValue = (value as Record<string, unknown>)[field];
      writeField(type, bytes, at + this.offset(field), fieldValue, `${this.name}.${field}`);
    }
  }

  /** A new buffer with the struct in it. */
  encode(value: StructValue<F>): Uint8Array {
    const bytes = new Uint8Array(this.size);
    this.write(bytes, value);
    return bytes;
  }
}

function isPadding(type: FieldType): type is Padding {
  return typeof type === 'object' && 'padding' in type;
}

function sizeOf(type: FieldType): number {
  if (typeof type === 'string') return scalarSizes[type];
  if (type instanceof Struct) return type.size;
  return isPadding(type) ? type.padding : type.length * sizeOf(type.array);
}

function alignmentOf(type: FieldType): number {
  if (typeof type === 'string') return scalarSizes[type];
  if (type instanceof Struct) return type.alignment;
  return isPadding(type) ? 1 : alignmentOf(type.array);
}

function readField(type: FieldType, bytes: Uint8Array, at: number): unknown {
  if (typeof type === 'string') return readScalar(type, view(bytes), at);
  if (type instanceof Struct) return type.read(bytes, at);
  if (isPadding(type)) return undefined;
  if (type.array === 'u8') return bytes.slice(at, at + type.length);
  const step = sizeOf(type.array);
  return Array.from({ length: type.length }, (_, index) => readField(type.array, bytes, at + index * step));
}

function writeField(type: FieldType, bytes: Uint8Array, at: number, value: unknown, name: string): void {
  if (typeof type === 'string') {
    writeScalar(type, view(bytes), at, value, name);
  } else if (value === null || typeof value !== 'object') {
    throw new TypeError(`${name} is missing`);
  } else if (type instanceof Struct) {
    type.write(bytes, value as StructValue<Fields>, at);
  } else if (!isPadding(type)) {
    const items = value as ArrayLike<unknown>;
    if (items.length !== type.length) throw new TypeError(`${name} must have ${type.length} elements`);
    const step = sizeOf(type.array);
    for (let index = 0; index < type.length; index++) {
      writeField(type.array, bytes, at + index * step, items[index], `${name}[${index}]`);
    }
  }
}

function readScalar(type: Scalar, data: DataView, at: number): number | bigint {
  switch (type) {
    case 'u8':
      return data.getUint8(at);
    case 'u16':
      return data.getUint16(at, true);
    case 'u32':
      return data.getUint32(at, true);
    case 's32':
      return data.getInt32(at, true);
    case 'u64':
      return data.getBigUint64(at, true);
    case 's64':
      return data.getBigInt64(at, true);
  }
}

function writeScalar(type: Scalar, data: DataView, at: number, value: unknown, name: string): void {
  if (type === 'u64' || type === 's64') {
    if (typeof value !== 'bigint') throw new TypeError(`${name} must be a bigint`);
    data.setBigUint64(at, BigInt.asUintN(64, value), true);
    return;
  }
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`);
  if (type === 'u8') data.setUint8(at, value);
  else if (type === 'u16') data.setUint16(at, value, true);
  else data.setUint32(at, value, true);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
