import type { DeviceState } from '../../device.ts';
import { booleanOf, bytesOf, DeviceStateError } from '../../state.ts';
import { parseSetup, SETUP_BYTES, type TransferEnd, type UsbDevice } from '../usb-device.ts';
import type { Transfer } from './transfer.ts';
import { CONTROL, TRB, type Trb, typeOf } from './trb.ts';

const SET_ADDRESS = 5;
const TO_HOST = 0x80;
/** The longest data stage. */
const MAX_DATA = 0xffff;

/** How a stage ends; `trb`: the driver's TRB is invalid. */
export type StageEnd = TransferEnd | { readonly kind: 'trb' };

const DONE: StageEnd = { kind: 'done', length: 0 };
const STALL: StageEnd = { kind: 'stall' };
const TRB_ERROR: StageEnd = { kind: 'trb' };

/** Endpoint 0: control transfers, whose setup, data and status stages are separate descriptors (xHCI 1.1 §4.11.2.2). */
export class ControlPipe {
  /** The setup packet; null if none was received since the last status stage. */
  #setup: Uint8Array | null = null;
  /** The result of the request: data to the host, or null for a stall. */
  #reply: Uint8Array | null = null;
  #isCarriedOut = false;

  /** Whether data goes to the host. */
  isToHost(trb: Trb): boolean {
    return typeOf(trb) !== TRB.setup && (trb.control & CONTROL.toHost) !== 0;
  }

  /** Carries out a stage, given its first TRB. */
  stage(device: UsbDevice, first: Trb, transfer: Transfer): StageEnd {
    switch (typeOf(first)) {
      case TRB.setup:
        return this.#begin(device, first);
      case TRB.data:
        return this.#data(device, first, transfer);
      case TRB.status:
        return this.#status(device);
      case TRB.noOp:
        return DONE;
      default:
        return TRB_ERROR;
    }
  }

  reset(): void {
    this.#setup = null;
    this.#reply = null;
    this.#isCarriedOut = false;
  }

  save(): DeviceState {
    return {
      setup: this.#setup?.slice() ?? null,
      reply: this.#reply?.slice() ?? null,
      isCarriedOut: this.#isCarriedOut,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const isCarriedOut = booleanOf(state, 'isCarriedOut');
    const setup = state.setup === null ? null : bytesOf(state, 'setup');
    const reply = state.reply === null ? null : bytesOf(state, 'reply');
    if (setup !== null && setup.length !== SETUP_BYTES) throw new DeviceStateError('setup', 'setup packet');
    if (reply !== null && reply.length > MAX_DATA) throw new DeviceStateError('reply', 'reply');
    this.#setup = setup?.slice() ?? null;
    this.#reply = reply?.slice() ?? null;
    this.#isCarriedOut = isCarriedOut;
  }

  #begin(device: UsbDevice, { low, high, control }: Trb): StageEnd {
    const bytes = new Uint8Array(SETUP_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, low, true);
    view.setUint32(4, high, true);
    const setup = parseSetup(bytes);
    this.reset();
    // The controller itself sends this request (§4.6.5).
    const isAddress = setup.requestType === 0 && setup.request === SET_ADDRESS;
    if (isAddress || (control & CONTROL.immediate) === 0) return TRB_ERROR;
    this.#setup = bytes;
    if ((setup.requestType & TO_HOST) !== 0 || setup.length === 0) this.#carryOut(device, new Uint8Array(0));
    return DONE;
  }

  #data(device: UsbDevice, first: Trb, transfer: Transfer): StageEnd {
    if (this.#setup === null) return TRB_ERROR;
    const { requestType, length } = parseSetup(this.#setup);
    const toHost = (requestType & TO_HOST) !== 0;
    if (toHost !== this.isToHost(first)) return TRB_ERROR;
    const most = Math.min(length, transfer.length);
    if (!toHost) {
      if (this.#isCarriedOut || most < length) return STALL;
      this.#carryOut(device, transfer.read(0, most));
    }
    const reply = this.#reply;
    if (reply === null) return STALL;
    if (!toHost) return { kind: 'done', length: most };
    const sent = reply.subarray(0, most);
    transfer.write(0, sent);
    return { kind: 'done', length: sent.length };
  }

  #status(device: UsbDevice): StageEnd {
    if (this.#setup === null) return TRB_ERROR;
    // There was no data stage.
    if (!this.#isCarriedOut) this.#carryOut(device, new Uint8Array(0));
    const isStalled = this.#reply === null;
    this.reset();
    return isStalled ? STALL : DONE;
  }

  #carryOut(device: UsbDevice, data: Uint8Array): void {
    this.#isCarriedOut = true;
    // A copy: the device may return its own memory.
    this.#reply = device.control(parseSetup(this.#setup!), data)?.slice() ?? null;
  }
}
