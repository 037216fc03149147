/** Report descriptors (HID 1.11 §6.2.2): what the bits of a device's reports mean. */

/** Short items, by tag and type; the size of their data is added. */
const ITEM = {
  usagePage: 0x04,
  usage: 0x08,
  logicalMinimum: 0x14,
  logicalMaximum: 0x24,
  usageMinimum: 0x18,
  usageMaximum: 0x28,
  reportSize: 0x74,
  reportCount: 0x94,
  input: 0x80,
  output: 0x90,
  collection: 0xa0,
} as const;
const END_COLLECTION = 0xc0;

/** Data of input and output items. */
export const FIELD = { array: 0x00, padding: 0x01, absolute: 0x02, relative: 0x06 } as const;
/** Usage pages, and usages of the generic desktop page (HID Usage Tables 1.12). */
export const PAGE = { desktop: 0x01, keyboard: 0x07, leds: 0x08, buttons: 0x09 } as const;
export const USAGE = { pointer: 0x01, mouse: 0x02, keyboard: 0x06, x: 0x30, y: 0x31, wheel: 0x38 } as const;
const COLLECTION = { physical: 0x00, application: 0x01 } as const;

export type Item = readonly number[];

/** An item with 1 or 2 bytes of data, or as many as a signed value needs. */
export function item(tag: keyof typeof ITEM, value: number): Item {
  const isShort = value >= -0x80 && value <= (tag === 'logicalMaximum' ? 0x7f : 0xff);
  return isShort ? [ITEM[tag] | 1, value & 0xff] : [ITEM[tag] | 2, value & 0xff, (value >> 8) & 0xff];
}

/** `count` fields of `bits` each. */
export function fields(count: number, bits: number): Item {
  return [...item('reportSize', bits), ...item('reportCount', count)];
}

/** Values from `least` to `most`. */
export function range(least: number, most: number): Item {
  return [...item('logicalMinimum', least), ...item('logicalMaximum', most)];
}

/** The usages from `first` to `last` of a page. */
export function usages(page: number, first: number, last: number): Item {
  return [...item('usagePage', page), ...item('usageMinimum', first), ...item('usageMaximum', last)];
}

export function application(usage: number, ...items: readonly Item[]): Uint8Array {
  const head = [...item('usagePage', PAGE.desktop), ...item('usage', usage)];
  const body = [...item('collection', COLLECTION.application), ...items.flat(), END_COLLECTION];
  return Uint8Array.from([...head, ...body]);
}

export function physical(usage: number, ...items: readonly Item[]): Item {
  const head = [...item('usage', usage), ...item('collection', COLLECTION.physical)];
  return [...head, ...items.flat(), END_COLLECTION];
}
