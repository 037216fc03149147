import type { AccessSize, DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';

/** The config space: {u8 select, u8 subsel, u8 size, u8 reserved[5], u8 data[128]} (virtio 1.3 §5.8.4). */
const OFFSET = { select: 0, subselect: 1, size: 2, data: 8 } as const;
export const CONFIG_SIZE = OFFSET.data + 128;

/** Values of `select` (§5.8.4). */
const SELECT = { name: 0x01, serial: 0x02, ids: 0x03, events: 0x11, axis: 0x12 } as const;

/** What a driver finds out about an input device. */
export type InputDescription = {
  readonly name: string;
  /** Absent for none. */
  readonly serial?: string | undefined;
  readonly ids: {
    readonly bus: number;
    readonly vendor: number;
    readonly product: number;
    readonly version: number;
  };
  /** The codes of each type of events. */
  readonly events: ReadonlyMap<number, readonly number[]>;
  /** The largest value of each absolute axis, by its code; the smallest is 0. */
  readonly axes: ReadonlyMap<number, number>;
};

/** The config space of an input device: the driver selects an item, and reads its size and its bytes. */
export class InputConfig {
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #select = 0;
  #subselect = 0;

  constructor({ name, serial, ids, events, axes }: InputDescription) {
    this.#items = new Map([
      [keyOf(SELECT.name, 0), new TextEncoder().encode(name)],
      [keyOf(SELECT.serial, 0), new TextEncoder().encode(serial ?? '')],
      [keyOf(SELECT.ids, 0), littleEndian(2, [ids.bus, ids.vendor, ids.product, ids.version])],
      ...[...events].map(([type, codes]) => [keyOf(SELECT.events, type), bitmap(codes)] as const),
      // {le32 min, le32 max, le32 fuzz, le32 flat, le32 res}
      ...[...axes].map(
        ([axis, max]) => [keyOf(SELECT.axis, axis), littleEndian(4, [0, max, 0, 0, 0])] as const,
      ),
    ]);
  }

  /** `offset + size` is at most CONFIG_SIZE. */
  read(offset: number, size: AccessSize): number {
    const item = this.#items.get(keyOf(this.#select, this.#subselect));
    const byteAt = (at: number) => {
      switch (at) {
        case OFFSET.select:
          return this.#select;
        case OFFSET.subselect:
          return this.#subselect;
        case OFFSET.size:
          return item?.length ?? 0;
        default:
          return item?.[at - OFFSET.data] ?? 0;
      }
    };
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + byteAt(offset + i);
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const byte = (value >>> (8 * i)) & 0xff;
      if (offset + i === OFFSET.select) this.#select = byte;
      else if (offset + i === OFFSET.subselect) this.#subselect = byte;
    }
  }

  reset(): void {
    this.#select = 0;
    this.#subselect = 0;
  }

  save(): DeviceState {
    return { select: this.#select, subselect: this.#subselect };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [select, subselect] = [numberOf(state, 'select', 0xff), numberOf(state, 'subselect', 0xff)];
    this.#select = select;
    this.#subselect = subselect;
  }
}

const keyOf = (select: number, subselect: number) => (select << 8) | subselect;

/** Up to the byte of the largest code; one byte if there are none, since an empty item is one that the device lacks. */
function bitmap(codes: readonly number[]): Uint8Array {
  const bytes = new Uint8Array((Math.max(0, ...codes) >> 3) + 1);
  for (const code of codes) bytes[code >> 3]! |= 1 << (code & 7);
  return bytes;
}

function littleEndian(size: 2 | 4, values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(size * values.length));
  for (const [index, value] of values.entries()) {
    if (size === 2) view.setUint16(2 * index, value, true);
    else view.setUint32(4 * index, value, true);
  }
  return new Uint8Array(view.buffer);
}
