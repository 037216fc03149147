import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { TransferEnd, UsbDevice } from '../usb-device.ts';
import { ENDPOINT_STATE, ENDPOINT_TYPE, writeEndpointState } from './contexts.ts';
import { ControlPipe, type StageEnd } from './control-pipe.ts';
import type { GuestAccess } from './guest-access.ts';
import { loadPlace, RingError, type RingPlace, savePlace } from './ring.ts';
import { eventsOf, nextDescriptor, Transfer, type TransferDescriptor, TransferError } from './transfer.ts';
import { CODE, type Event, TRB, typeOf } from './trb.ts';

export type EndpointHost = {
  readonly memory: GuestAccess;
  /** The device of the endpoint, if transfers reach it. */
  readonly device: () => UsbDevice | null;
  /** @throws HostSystemError */
  readonly put: (interrupter: number, event: Event) => void;
  /**
   * A transfer has ended asynchronously: `finish` must be called where the guest's errors are handled; afterward there
   * may be more to do.
   */
  readonly ended: (endpoint: Endpoint, finish: () => void) => void;
  /** Counts a descriptor. */
  readonly counted: () => void;
};

export type EndpointParts = {
  readonly slot: number;
  readonly dci: number;
  /** The address of its output context. */
  readonly context: number;
  readonly type: number;
  readonly place: RingPlace;
};

/**
 * An endpoint that the driver has enabled (xHCI 1.1 §4.8): it carries out the descriptors of its ring, one at a time.
 */
export class Endpoint {
  readonly slot: number;
  readonly dci: number;
  readonly #host: EndpointHost;
  readonly #context: number;
  readonly #type: number;
  readonly #control = new ControlPipe();
  #state: number = ENDPOINT_STATE.running;
  #place: RingPlace;
  /** The descriptor that the device is carrying out. */
  #active: TransferDescriptor | null = null;

  constructor(host: EndpointHost, { slot, dci, context, type, place }: EndpointParts) {
    this.#host = host;
    this.slot = slot;
    this.dci = dci;
    this.#context = context;
    this.#type = type;
    this.#place = place;
  }

  get state(): number {
    return this.#state;
  }

  /** The address from the device's descriptor. */
  get address(): number {
    return (this.dci >> 1) | (this.dci & 1 && this.dci > 1 ? 0x80 : 0);
  }

  /** Its doorbell has been rung. */
  ring(): void {
    if (this.#state === ENDPOINT_STATE.stopped) this.setState(ENDPOINT_STATE.running);
  }

  /** Begins the next descriptor. @returns whether there may be another right after it. @throws HostSystemError */
  step(): boolean {
    if (this.#state !== ENDPOINT_STATE.running || this.#active !== null) return false;
    const descriptor = this.#next();
    if (descriptor === null) return false;
    this.#host.counted();
    const device = this.#host.device();
    if (device === null) {
      this.#end(descriptor, { kind: 'error' });
      return true;
    }
    if (this.#type === ENDPOINT_TYPE.control) {
      const transfer = new Transfer(this.#host.memory, descriptor, () => {});
      this.#end(descriptor, this.#control.stage(device, descriptor.trbs[0]!, transfer));
      return true;
    }
    const isNothing = descriptor.trbs.every(trb => typeOf(trb) === TRB.noOp);
    if (isNothing) this.#end(descriptor, { kind: 'done', length: 0 });
    else this.#submit(device, descriptor);
    return this.#active === null;
  }

  /** Writes the state and the position to the output context. @throws HostSystemError */
  setState(state: number): void {
    this.#state = state;
    writeEndpointState(this.#host.memory, this.#context, state, this.#place);
  }

  /** The driver has set another position. @throws HostSystemError */
  moveTo(place: RingPlace): void {
    this.#place = place;
    this.#control.reset();
    this.setState(ENDPOINT_STATE.stopped);
  }

  /** Takes back the device's transfer. @param then called with its descriptor, once it no longer reaches memory */
  takeBack(then: (descriptor: TransferDescriptor | null) => void): void {
    const descriptor = this.#active;
    this.#active = null;
    const device = this.#host.device();
    if (descriptor === null || device === null) then(descriptor);
    else device.cancel(this.address, () => then(descriptor));
  }

  /** Reports to the driver a descriptor that has not been carried out. @throws HostSystemError */
  report(descriptor: TransferDescriptor, code: number): void {
    this.#put(descriptor, 0, code);
  }

  /** The device has not responded. @throws HostSystemError */
  unanswered(descriptor: TransferDescriptor): void {
    this.#fail(CODE.transactionError, ENDPOINT_STATE.halted, descriptor);
  }

  save(): DeviceState {
    return {
      dci: this.dci,
      context: this.#context,
      type: this.#type,
      state: this.#state,
      place: savePlace(this.#place),
      control: this.#control.save(),
    };
  }

  /** @throws DeviceStateError */
  static load(host: EndpointHost, slot: number, state: DeviceState): Endpoint {
    const type = numberOf(state, 'type', 7);
    if (!Object.values<number>(ENDPOINT_TYPE).includes(type))
      throw new DeviceStateError('type', 'type of an endpoint');
    const dci = numberOf(state, 'dci', 31);
    if (dci === 0) throw new DeviceStateError('dci', 'endpoint');
    const context = numberOf(state, 'context');
    const endpoint = new Endpoint(host, {
      slot,
      dci,
      context,
      type,
      place: loadPlace(stateOf(state, 'place')),
    });
    endpoint.#state = numberOf(state, 'state', ENDPOINT_STATE.error);
    endpoint.#control.load(stateOf(state, 'control'));
    return endpoint;
  }

  #next(): TransferDescriptor | null {
    const { memory } = this.#host;
    const isIn = (this.dci & 1) === 1;
    try {
      return nextDescriptor(memory, this.#place, first =>
        this.#type === ENDPOINT_TYPE.control ? this.#control.isToHost(first) : isIn,
      );
    } catch (error) {
      if (!(error instanceof RingError || error instanceof TransferError)) throw error;
      this.#fail(CODE.trbError, ENDPOINT_STATE.error);
      return null;
    }
  }

  /** The device may end the transfer immediately, which is handled here, or later. */
  #submit(device: UsbDevice, descriptor: TransferDescriptor): void {
    this.#active = descriptor;
    let isSubmitting = true;
    let end: TransferEnd | null = null;
    const transfer = new Transfer(this.#host.memory, descriptor, given => {
      if (this.#active !== descriptor) return;
      end = given;
      if (!isSubmitting) this.#host.ended(this, () => this.#finish(descriptor, given));
    });
    device.submit(this.address, transfer);
    isSubmitting = false;
    if (end !== null) this.#finish(descriptor, end);
  }

  #finish(descriptor: TransferDescriptor, end: TransferEnd): void {
    if (this.#active !== descriptor) return;
    this.#active = null;
    this.#end(descriptor, end);
  }

  #end(descriptor: TransferDescriptor, end: StageEnd): void {
    switch (end.kind) {
      case 'done':
        this.#place = descriptor.after;
        this.#put(descriptor, end.length, CODE.success);
        return;
      case 'trb':
        this.#fail(CODE.trbError, ENDPOINT_STATE.error, descriptor);
        return;
      case 'stall':
      case 'error':
        this.#fail(
          end.kind === 'stall' ? CODE.stall : CODE.transactionError,
          ENDPOINT_STATE.halted,
          descriptor,
        );
        return;
    }
  }

  /** The ring stays at the descriptor: the driver sets where it continues. */
  #fail(code: number, state: number, descriptor?: TransferDescriptor): void {
    this.#control.reset();
    this.setState(state);
    if (descriptor !== undefined) this.#put(descriptor, 0, code);
    else
      this.#host.put(0, {
        type: TRB.transferEvent,
        pointer: this.#place.address,
        code,
        control: this.#source,
      });
  }

  get #source(): number {
    return ((this.slot << 24) | (this.dci << 16)) >>> 0;
  }

  #put({ trbs }: TransferDescriptor, transferred: number, code: number): void {
    for (const { interrupter, event } of eventsOf(trbs, transferred, code, this.#source))
      this.#host.put(interrupter, event);
  }
}
