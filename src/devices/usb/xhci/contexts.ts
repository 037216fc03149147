import type { GuestAccess } from './guest-access.ts';
import type { RingPlace } from './ring.ts';

/** Contexts of 32 bytes (xHCI 1.1 §6.2): a slot's, then those of endpoints 1 to 31 by their DCI. */
export const CONTEXT_BYTES = 32;
export const MAX_DCI = 31;

export const SLOT_STATE = { disabled: 0, default: 1, addressed: 2, configured: 3 } as const;
export const ENDPOINT_STATE = { disabled: 0, running: 1, halted: 2, stopped: 3, error: 4 } as const;
/** Types of endpoints (table 6-9). */
export const ENDPOINT_TYPE = {
  bulkOut: 2,
  interruptOut: 3,
  control: 4,
  bulkIn: 6,
  interruptIn: 7,
} as const;
const USABLE: readonly number[] = Object.values(ENDPOINT_TYPE);

/** The fields of a slot context (§6.2.2). */
export type SlotContext = {
  readonly route: number;
  readonly entries: number;
  /** The port of the root hub, from 1 on. */
  readonly port: number;
  readonly interrupter: number;
};

export function readSlot(memory: GuestAccess, address: number): SlotContext {
  const [first, second, third] = [0, 4, 8].map(offset => memory.readU32(address + offset));
  return {
    route: first! & 0xf_ffff,
    entries: first! >>> 27,
    port: (second! >>> 16) & 0xff,
    interrupter: third! >>> 22,
  };
}

/** Writes the state and the device's address to an output slot context. */
export function writeSlotState(
  memory: GuestAccess,
  address: number,
  state: number,
  deviceAddress: number,
): void {
  memory.writeU32(address + 12, (state << 27) | deviceAddress);
}

export function writeEntries(memory: GuestAccess, address: number, entries: number): void {
  memory.writeU32(address, (memory.readU32(address) & 0x07ff_ffff) | (entries << 27));
}

/** The fields of an endpoint context (§6.2.3). */
export type EndpointContext = { readonly type: number; readonly maxPacket: number; readonly dequeue: number };

/** Null if it is not usable. */
export function readEndpoint(memory: GuestAccess, address: number, dci: number): EndpointContext | null {
  const first = memory.readU32(address);
  const second = memory.readU32(address + 4);
  const context = {
    type: (second >>> 3) & 7,
    maxPacket: second >>> 16,
    dequeue: memory.readPointer(address + 8),
  };
  const hasStreams = ((first >>> 10) & 0x1f) !== 0;
  const isIn = context.type >= 4 && context.type !== ENDPOINT_TYPE.control;
  const fits = dci === 1 ? context.type === ENDPOINT_TYPE.control : isIn === ((dci & 1) === 1);
  const isUsable = USABLE.includes(context.type) && fits && !hasStreams;
  return isUsable && context.maxPacket > 0 && context.maxPacket <= 1024 ? context : null;
}

export function writeEndpointState(
  memory: GuestAccess,
  address: number,
  state: number,
  { address: at, cycle }: RingPlace,
): void {
  memory.writeU32(address, (memory.readU32(address) & ~7) | state);
  memory.writeU32(address + 8, ((at % 2 ** 32) | cycle) >>> 0);
  memory.writeU32(address + 12, Math.floor(at / 2 ** 32));
}

/** Copies a context from the input to the output. */
export function copyContext(memory: GuestAccess, from: number, to: number): void {
  memory.write(to, memory.read(from, CONTEXT_BYTES).slice());
}
