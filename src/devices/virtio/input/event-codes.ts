/** Types and codes of events, and other numbers of evdev (linux/input-event-codes.h, linux/input.h; virtio 1.3 §5.8). */
export const EV = { syn: 0x00, key: 0x01, rel: 0x02, abs: 0x03, led: 0x11, rep: 0x14 } as const;
export const REL = { x: 0x00, y: 0x01, wheel: 0x08 } as const;
export const ABS = { x: 0x00, y: 0x01 } as const;
export const LED = { numLock: 0, capsLock: 1, scrollLock: 2 } as const;
export const BUS_VIRTUAL = 0x06;

/** An event in a queue: {le16 type, le16 code, le32 value} (§5.8.6). */
export type QueueEvent = { readonly type: number; readonly code: number; readonly value: number };

export const EVENT_BYTES = 8;
/** The end of an update. */
export const SYN_REPORT: QueueEvent = { type: EV.syn, code: 0, value: 0 };

export function encodeEvent({ type, code, value }: QueueEvent): Uint8Array {
  const view = new DataView(new ArrayBuffer(EVENT_BYTES));
  view.setUint16(0, type, true);
  view.setUint16(2, code, true);
  view.setInt32(4, value, true);
  return new Uint8Array(view.buffer);
}

/** @param bytes at least EVENT_BYTES */
export function decodeEvent(bytes: Uint8Array): QueueEvent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, EVENT_BYTES);
  return { type: view.getUint16(0, true), code: view.getUint16(2, true), value: view.getInt32(4, true) };
}
