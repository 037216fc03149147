import {
  CONTEXT_BYTES,
  copyContext,
  ENDPOINT_STATE,
  MAX_DCI,
  readEndpoint,
  readSlot,
  SLOT_STATE,
  writeEndpointState,
  writeEntries,
  writeSlotState,
} from './contexts.ts';
import type { GuestAccess } from './guest-access.ts';
import type { RootHubPort } from './port.ts';
import { placeOf } from './ring.ts';
import { type Slot, takeBackAll } from './slots.ts';
import { CODE, CONTROL, endpointOf, slotOf, TRB, type Trb, typeOf } from './trb.ts';

const SET_ADDRESS = 5;
const CONTEXT_ALIGNMENT = 64;
const NOWHERE = { address: 0, cycle: 0 } as const;
/** Bits of an input control context: the slot, and endpoint 0. */
const SLOT_FLAG = 0x1;
const CONTROL_FLAG = 0x2;

export type CommandsHost = {
  readonly memory: GuestAccess;
  readonly slots: readonly Slot[];
  readonly ports: readonly RootHubPort[];
  /** The address of the array of pointers to output contexts. */
  readonly contexts: () => number;
  /** The number of slots that the driver uses. */
  readonly usedSlots: () => number;
  /** Runs a later action where the guest's errors are handled. */
  readonly guarded: (action: () => void) => void;
};

/** The result of a command. */
export type Completed = (code: number, slot: number) => void;

/** The commands of the command ring (xHCI 1.1 §4.6). */
export class Commands {
  readonly #host: CommandsHost;

  constructor(host: CommandsHost) {
    this.#host = host;
  }

  /**
   * Carries out a command. @param completed called once, possibly later, where the guest's errors are handled. @throws
   * HostSystemError
   */
  execute(trb: Trb, completed: Completed): void {
    const number = slotOf(trb);
    const done = (code: number) => completed(code, number);
    switch (typeOf(trb)) {
      case TRB.noOpCommand:
        completed(CODE.success, 0);
        return;
      case TRB.enableSlot:
        this.#enableSlot(completed);
        return;
    }
    const slot = this.#host.slots[number - 1];
    if (slot === undefined || number > this.#host.usedSlots()) {
      done(IS_OF_SLOT.has(typeOf(trb)) ? CODE.slotNotEnabled : CODE.trbError);
      return;
    }
    if (IS_OF_SLOT.has(typeOf(trb)) && !slot.isEnabled) {
      done(CODE.slotNotEnabled);
      return;
    }
    switch (typeOf(trb)) {
      case TRB.disableSlot:
        this.#disableSlot(slot, done);
        return;
      case TRB.addressDevice:
        this.#addressDevice(slot, trb, done);
        return;
      case TRB.configureEndpoint:
        this.#configureEndpoint(slot, trb, done);
        return;
      case TRB.evaluateContext:
        done(this.#evaluateContext(slot, trb));
        return;
      case TRB.resetEndpoint:
        done(this.#resetEndpoint(slot, trb));
        return;
      case TRB.stopEndpoint:
        this.#stopEndpoint(slot, trb, done);
        return;
      case TRB.setDequeue:
        done(this.#setDequeue(slot, trb));
        return;
      case TRB.resetDevice:
        this.#resetDevice(slot, done);
        return;
      default:
        done(CODE.trbError);
    }
  }

  #enableSlot(completed: Completed): void {
    const slot = this.#host.slots.slice(0, this.#host.usedSlots()).find(({ isEnabled }) => !isEnabled);
    if (slot === undefined) {
      completed(CODE.noSlots, 0);
      return;
    }
    slot.isEnabled = true;
    completed(CODE.success, slot.number);
  }

  #disableSlot(slot: Slot, done: (code: number) => void): void {
    this.#takeBack(
      slot,
      slot.endpoints.map(({ dci }) => dci),
      () => {
        if (slot.context !== 0) writeSlotState(this.#host.memory, slot.context, SLOT_STATE.disabled, 0);
        slot.clear();
        done(CODE.success);
      },
    );
  }

  /** @param then called where the guest's errors are handled, now or later */
  #takeBack(slot: Slot, dcis: readonly number[], then: () => void): void {
    const endpoints = dcis.flatMap(dci => slot.endpoint(dci) ?? []);
    let isNow = true;
    takeBackAll(endpoints, () => {
      if (isNow) then();
      else this.#host.guarded(then);
    });
    isNow = false;
  }

  /** §4.6.5 */
  #addressDevice(slot: Slot, trb: Trb, done: (code: number) => void): void {
    const { memory, slots, ports } = this.#host;
    const input = inputOf(memory, trb);
    if (input === null || input.add !== (SLOT_FLAG | CONTROL_FLAG) || input.drop !== 0) {
      done(CODE.trbError);
      return;
    }
    const isBlocked = (trb.control & CONTROL.blockRequest) !== 0;
    const isPossible =
      slot.state === SLOT_STATE.disabled || (slot.state === SLOT_STATE.default && !isBlocked);
    if (!isPossible) {
      done(CODE.contextState);
      return;
    }
    const wanted = readSlot(memory, input.contextOf(0));
    const endpoint = readEndpoint(memory, input.contextOf(1), 1);
    const port = ports[wanted.port - 1];
    // A device cannot be behind a hub: there are none.
    if (port === undefined || endpoint === null || wanted.route !== 0) {
      done(CODE.parameterError);
      return;
    }
    if (slots.some(other => other !== slot && other.port === wanted.port)) {
      done(CODE.trbError);
      return;
    }
    const { device } = port;
    if (device === null || !port.isEnabled) {
      done(CODE.transactionError);
      return;
    }
    const context = memory.readPointer(this.#host.contexts() + 8 * slot.number);
    if (context === 0 || context % CONTEXT_ALIGNMENT !== 0) {
      done(CODE.parameterError);
      return;
    }
    const before = slot.endpoints.map(({ dci }) => dci);
    this.#takeBack(slot, before, () => {
      slot.drop(before);
      slot.port = wanted.port;
      slot.context = context;
      copyContext(memory, input.contextOf(0), context);
      copyContext(memory, input.contextOf(1), context + CONTEXT_BYTES);
      const address = isBlocked ? 0 : slot.number;
      device.control({ requestType: 0, request: SET_ADDRESS, value: address, index: 0, length: 0 }, NOTHING);
      slot.state = isBlocked ? SLOT_STATE.default : SLOT_STATE.addressed;
      writeSlotState(memory, context, slot.state, address);
      const place = placeOf(endpoint.dequeue);
      slot.enable(1, { type: endpoint.type, place }).setState(ENDPOINT_STATE.running);
      done(CODE.success);
    });
  }

  /** §4.6.6 */
  #configureEndpoint(slot: Slot, trb: Trb, done: (code: number) => void): void {
    const { memory } = this.#host;
    const isConfigured = slot.state === SLOT_STATE.configured;
    if (!isConfigured && slot.state !== SLOT_STATE.addressed) {
      done(CODE.contextState);
      return;
    }
    const isEnd = (trb.control & CONTROL.deconfigure) !== 0;
    const input = isEnd ? null : inputOf(memory, trb);
    if (!isEnd && (input === null || (input.drop & 3) !== 0 || (input.add & 3) !== SLOT_FLAG)) {
      done(CODE.trbError);
      return;
    }
    const all = Array.from({ length: MAX_DCI - 1 }, (_, at) => at + 2);
    const added = all.filter(dci => input !== null && (input.add & (1 << dci)) !== 0);
    const dropped = isEnd ? all : all.filter(dci => (input!.drop & (1 << dci)) !== 0);
    const contexts = added.map(dci => ({ dci, context: readEndpoint(memory, input!.contextOf(dci), dci) }));
    if (contexts.some(({ context }) => context === null)) {
      done(CODE.parameterError);
      return;
    }
    // An endpoint that is added without being dropped first would have two rings.
    if (added.some(dci => slot.endpoint(dci) !== undefined && !dropped.includes(dci))) {
      done(CODE.trbError);
      return;
    }
    this.#takeBack(slot, dropped, () => {
      for (const dci of dropped) {
        if (slot.endpoint(dci) === undefined) continue;
        writeEndpointState(memory, slot.contextOf(dci), ENDPOINT_STATE.disabled, NOWHERE);
      }
      slot.drop(dropped);
      for (const { dci, context } of contexts) {
        copyContext(memory, input!.contextOf(dci), slot.contextOf(dci));
        const { type, dequeue } = context!;
        slot.enable(dci, { type, place: placeOf(dequeue) }).setState(ENDPOINT_STATE.running);
      }
      const last = Math.max(...slot.endpoints.map(({ dci }) => dci));
      slot.state = last > 1 ? SLOT_STATE.configured : SLOT_STATE.addressed;
      writeEntries(memory, slot.context, last);
      writeSlotState(memory, slot.context, slot.state, slot.number);
      done(CODE.success);
    });
  }

  /** §4.6.7: what a driver finds out later. Only the packet size of endpoint 0 would matter, but it does not here. */
  #evaluateContext(slot: Slot, trb: Trb): number {
    const { memory } = this.#host;
    if (slot.state === SLOT_STATE.disabled) return CODE.contextState;
    const input = inputOf(memory, trb);
    if (input === null || input.drop !== 0 || (input.add & ~3) !== 0) return CODE.trbError;
    if (input.add & CONTROL_FLAG) {
      const endpoint = readEndpoint(memory, input.contextOf(1), 1);
      if (endpoint === null) return CODE.parameterError;
      const at = slot.contextOf(1) + 4;
      memory.writeU32(at, (memory.readU32(at) & 0xffff) | (endpoint.maxPacket << 16));
    }
    if (input.add & SLOT_FLAG) {
      const { interrupter } = readSlot(memory, input.contextOf(0));
      const at = slot.context + 8;
      memory.writeU32(at, (memory.readU32(at) & 0x003f_ffff) | (interrupter << 22));
    }
    return CODE.success;
  }

  /** §4.6.8 */
  #resetEndpoint(slot: Slot, trb: Trb): number {
    const endpoint = slot.endpoint(endpointOf(trb));
    if (endpoint === undefined) return CODE.endpointNotEnabled;
    if (endpoint.state !== ENDPOINT_STATE.halted) return CODE.contextState;
    endpoint.setState(ENDPOINT_STATE.stopped);
    return CODE.success;
  }

  /** §4.6.9 */
  #stopEndpoint(slot: Slot, trb: Trb, done: (code: number) => void): void {
    const endpoint = slot.endpoint(endpointOf(trb));
    if (endpoint === undefined || endpoint.state !== ENDPOINT_STATE.running) {
      done(endpoint === undefined ? CODE.endpointNotEnabled : CODE.contextState);
      return;
    }
    let isNow = true;
    endpoint.takeBack(descriptor => {
      const stop = () => {
        endpoint.setState(ENDPOINT_STATE.stopped);
        if (descriptor !== null) endpoint.report(descriptor, CODE.stopped);
        done(CODE.success);
      };
      if (isNow) stop();
      else this.#host.guarded(stop);
    });
    isNow = false;
  }

  /** §4.6.10 */
  #setDequeue(slot: Slot, trb: Trb): number {
    const endpoint = slot.endpoint(endpointOf(trb));
    if (endpoint === undefined) return CODE.endpointNotEnabled;
    const { state } = endpoint;
    if (state !== ENDPOINT_STATE.stopped && state !== ENDPOINT_STATE.error) return CODE.contextState;
    endpoint.moveTo(placeOf(trb.pointer));
    return CODE.success;
  }

  /** §4.6.11 */
  #resetDevice(slot: Slot, done: (code: number) => void): void {
    if (slot.state !== SLOT_STATE.addressed && slot.state !== SLOT_STATE.configured) {
      done(CODE.contextState);
      return;
    }
    const { memory } = this.#host;
    const others = slot.endpoints.filter(({ dci }) => dci !== 1).map(({ dci }) => dci);
    this.#takeBack(slot, others, () => {
      for (const dci of others)
        writeEndpointState(memory, slot.contextOf(dci), ENDPOINT_STATE.disabled, NOWHERE);
      slot.drop(others);
      slot.state = SLOT_STATE.default;
      writeEntries(memory, slot.context, 1);
      writeSlotState(memory, slot.context, slot.state, 0);
      done(CODE.success);
    });
  }
}

const NOTHING = new Uint8Array(0);

const IS_OF_SLOT: ReadonlySet<number> = new Set([
  TRB.disableSlot,
  TRB.addressDevice,
  TRB.configureEndpoint,
  TRB.evaluateContext,
  TRB.resetEndpoint,
  TRB.stopEndpoint,
  TRB.setDequeue,
  TRB.resetDevice,
]);

/** An input context (§6.2.5); null if the command's pointer is invalid. */
function inputOf(memory: GuestAccess, { pointer }: Trb) {
  if (pointer % 16 !== 0) return null;
  return {
    drop: memory.readU32(pointer),
    add: memory.readU32(pointer + 4),
    /** After the control context: 0 for the slot, then by DCI. */
    contextOf: (index: number) => pointer + CONTEXT_BYTES * (index + 1),
  };
}
