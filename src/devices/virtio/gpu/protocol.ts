/** The structures of the virtqueues of a GPU device (virtio 1.3 §5.7.6). All numbers are little endian. */

export const COMMAND = {
  getDisplayInfo: 0x100,
  createResource2d: 0x101,
  unrefResource: 0x102,
  setScanout: 0x103,
  flushResource: 0x104,
  transferToHost2d: 0x105,
  attachBacking: 0x106,
  detachBacking: 0x107,
  getEdid: 0x10a,
  updateCursor: 0x300,
  moveCursor: 0x301,
} as const;

export const RESPONSE = {
  ok: 0x1100,
  displayInfo: 0x1101,
  edid: 0x1104,
  unspecified: 0x1200,
  outOfMemory: 0x1201,
  invalidScanout: 0x1202,
  invalidResource: 0x1203,
  invalidParameter: 0x1205,
} as const;

/** Flag of a header: the response must have the same fence. */
const FENCE = 1;

/** Bytes. */
export const HEADER = 24;
export const MEMORY_ENTRY = 16;
/** The size of the longest command, without the memory entries that may follow it. */
export const LONGEST_COMMAND = 56;
/** The size of the command, before its memory entries. */
export const ATTACH_BACKING = 32;

/** The display information has this many entries, regardless of the device. */
const MAX_SCANOUTS = 16;
const DISPLAY = 24;
const EDID_ROOM = 1024;

/** The header of every command. */
const HEADER_FIELDS = { type: 0, flags: 4, fence: 8, context: 16, ring: 20 } as const;

/** In pixels. */
export type Rect = {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
};

/** A command without all of its fields is invalid. @returns the view; null if there are fewer than `size` bytes */
export function viewOf(bytes: Uint8Array, size: number): DataView | null {
  return bytes.length < size ? null : new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function rectAt(view: DataView, at: number): Rect {
  const word = (index: number) => view.getUint32(at + 4 * index, true);
  return { x: word(0), y: word(1), width: word(2), height: word(3) };
}

/** Whether a rectangle is not empty, and inside `bounds`, which starts at 0,0. */
export function isInside({ x, y, width, height }: Rect, bounds: Pick<Rect, 'width' | 'height'>): boolean {
  return width > 0 && height > 0 && x + width <= bounds.width && y + height <= bounds.height;
}

/** The intersection of two rectangles; null if it is empty. */
export function shared(a: Rect, b: Rect): Rect | null {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

/** The type of a command, of at least `HEADER` bytes. */
export function commandOf(view: DataView): number {
  return view.getUint32(HEADER_FIELDS.type, true);
}

/** The response to a command: its header, and `body` bytes. */
export function response(type: number, command: DataView, body = 0): DataView {
  const view = new DataView(new ArrayBuffer(HEADER + body));
  view.setUint32(HEADER_FIELDS.type, type, true);
  if ((command.getUint32(HEADER_FIELDS.flags, true) & FENCE) === 0) return view;
  view.setUint32(HEADER_FIELDS.flags, FENCE, true);
  view.setBigUint64(HEADER_FIELDS.fence, command.getBigUint64(HEADER_FIELDS.fence, true), true);
  view.setUint32(HEADER_FIELDS.context, command.getUint32(HEADER_FIELDS.context, true), true);
  view.setUint8(HEADER_FIELDS.ring, command.getUint8(HEADER_FIELDS.ring));
  return view;
}

/** The response to GET_DISPLAY_INFO, for a device with one display. */
export function displayInfo(command: DataView, width: number, height: number): DataView {
  const view = response(RESPONSE.displayInfo, command, MAX_SCANOUTS * DISPLAY);
  view.setUint32(HEADER + 8, width, true);
  view.setUint32(HEADER + 12, height, true);
  view.setUint32(HEADER + 16, 1, true);
  return view;
}

/** The response to GET_EDID. */
export function edidResponse(command: DataView, edid: Uint8Array): DataView {
  const view = response(RESPONSE.edid, command, 8 + EDID_ROOM);
  view.setUint32(HEADER, edid.length, true);
  new Uint8Array(view.buffer).set(edid, HEADER + 8);
  return view;
}
