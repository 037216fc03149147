/** Transfer request blocks (xHCI 1.1 §6.4): commands, transfers and events, of 16 bytes each. */

export const TRB_BYTES = 16;

export type Trb = {
  /** Its guest-physical address. */
  readonly address: number;
  /** The first 8 bytes, as a pointer. */
  readonly pointer: number;
  readonly low: number;
  readonly high: number;
  readonly status: number;
  readonly control: number;
};

/** Types (§6.4.6). */
export const TRB = {
  normal: 1,
  setup: 2,
  data: 3,
  status: 4,
  isochronous: 5,
  link: 6,
  eventData: 7,
  noOp: 8,
  enableSlot: 9,
  disableSlot: 10,
  addressDevice: 11,
  configureEndpoint: 12,
  evaluateContext: 13,
  resetEndpoint: 14,
  stopEndpoint: 15,
  setDequeue: 16,
  resetDevice: 17,
  noOpCommand: 23,
  transferEvent: 32,
  commandCompletion: 33,
  portStatusChange: 34,
  hostController: 37,
} as const;

/** Completion codes (§6.4.5). */
export const CODE = {
  success: 1,
  transactionError: 4,
  trbError: 5,
  stall: 6,
  resourceError: 7,
  noSlots: 9,
  slotNotEnabled: 11,
  endpointNotEnabled: 12,
  shortPacket: 13,
  parameterError: 17,
  contextState: 19,
  ringFull: 21,
  commandStopped: 24,
  commandAborted: 25,
  stopped: 26,
  stoppedLengthInvalid: 27,
} as const;

/** Bits of the last dword. */
export const CONTROL = {
  cycle: 0x1,
  /** In a link: the cycle bit is inverted after it. */
  toggle: 0x2,
  onShortPacket: 0x4,
  chain: 0x10,
  onCompletion: 0x20,
  immediate: 0x40,
  /** In an address device command: no request is sent to the device. */
  blockRequest: 0x200,
  /** In a configure endpoint command. */
  deconfigure: 0x200,
  /** In an event: it is for an event data TRB. */
  eventData: 0x4,
  toHost: 0x1_0000,
} as const;

export function typeOf({ control }: Pick<Trb, 'control'>): number {
  return (control >>> 10) & 0x3f;
}

/** Bytes of a transfer TRB. */
export function lengthOf({ status }: Pick<Trb, 'status'>): number {
  return status & 0x1_ffff;
}

export function slotOf({ control }: Pick<Trb, 'control'>): number {
  return control >>> 24;
}

export function endpointOf({ control }: Pick<Trb, 'control'>): number {
  return (control >>> 16) & 0x1f;
}

export type Event = {
  readonly type: number;
  /** The first 8 bytes: an address, or the driver's data of an event data TRB. */
  readonly pointer: number | { readonly low: number; readonly high: number };
  readonly code: number;
  /** The low 24 bits of the third dword, below the code. */
  readonly length?: number;
  /** Other bits of the last dword. */
  readonly control?: number;
};

/** An event in the format of its ring, with a cycle bit of 0. */
export function encodeEvent({ type, pointer, code, length = 0, control = 0 }: Event): Uint8Array {
  const view = new DataView(new ArrayBuffer(TRB_BYTES));
  const isAddress = typeof pointer === 'number';
  view.setUint32(0, isAddress ? pointer % 2 ** 32 : pointer.low, true);
  view.setUint32(4, isAddress ? Math.floor(pointer / 2 ** 32) : pointer.high, true);
  view.setUint32(8, ((code << 24) | (length & 0xff_ffff)) >>> 0, true);
  view.setUint32(12, ((type << 10) | control) >>> 0, true);
  return new Uint8Array(view.buffer);
}
