import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf, statesOf } from '../../state.ts';
import type { UsbDevice } from '../usb-device.ts';
import { CONTEXT_BYTES, MAX_DCI, SLOT_STATE } from './contexts.ts';
import { Endpoint, type EndpointHost } from './endpoint.ts';
import type { RootHubPort } from './port.ts';
import { PORTS, SLOTS } from './registers.ts';

export type SlotHost = Omit<EndpointHost, 'device'>;

/** A device slot (xHCI 1.1 §4.5): a device on a port, as seen by its driver. */
export class Slot {
  /** From 1 on. */
  readonly number: number;
  readonly #host: SlotHost;
  readonly #ports: readonly RootHubPort[];
  readonly #endpoints = new Map<number, Endpoint>();
  isEnabled = false;
  state: number = SLOT_STATE.disabled;
  /** The port of the root hub, from 1 on; 0 before it has been addressed. */
  port = 0;
  /** The address of its output context. */
  context = 0;

  constructor(number: number, ports: readonly RootHubPort[], host: SlotHost) {
    this.number = number;
    this.#ports = ports;
    this.#host = host;
  }

  /** The device, if transfers reach it. */
  get device(): UsbDevice | null {
    const port = this.#ports[this.port - 1];
    return port?.isEnabled ? port.device : null;
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  endpoint(dci: number): Endpoint | undefined {
    return this.#endpoints.get(dci);
  }

  /** The address of an endpoint's output context. */
  contextOf(dci: number): number {
    return this.context + CONTEXT_BYTES * dci;
  }

  enable(
    dci: number,
    { type, place }: Pick<ConstructorParameters<typeof Endpoint>[1], 'type' | 'place'>,
  ): Endpoint {
    const parts = { slot: this.number, dci, context: this.contextOf(dci), type, place };
    const endpoint = new Endpoint(this.#endpointHost, parts);
    this.#endpoints.set(dci, endpoint);
    return endpoint;
  }

  /** Drops endpoints, whose transfers have been taken back. */
  drop(dcis: readonly number[]): void {
    for (const dci of dcis) this.#endpoints.delete(dci);
  }

  /** Returns to the unused state. */
  clear(): void {
    this.#endpoints.clear();
    this.isEnabled = false;
    this.state = SLOT_STATE.disabled;
    this.port = 0;
    this.context = 0;
  }

  save(): DeviceState {
    const endpoints = this.endpoints.map(endpoint => endpoint.save());
    return {
      isEnabled: this.isEnabled ? 1 : 0,
      state: this.state,
      port: this.port,
      context: this.context,
      count: endpoints.length,
      endpoints,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const isEnabled = numberOf(state, 'isEnabled', 1) === 1;
    const slotState = numberOf(state, 'state', SLOT_STATE.configured);
    const port = numberOf(state, 'port', PORTS);
    const context = numberOf(state, 'context');
    const count = numberOf(state, 'count', MAX_DCI);
    const endpoints = statesOf(state, 'endpoints', count).map(each =>
      Endpoint.load(this.#endpointHost, this.number, each),
    );
    if (!isEnabled && (slotState !== 0 || port !== 0 || count > 0))
      throw new DeviceStateError('isEnabled', 'state of a slot');
    this.clear();
    for (const endpoint of endpoints) this.#endpoints.set(endpoint.dci, endpoint);
    this.isEnabled = isEnabled;
    this.state = slotState;
    this.port = port;
    this.context = context;
  }

  get #endpointHost(): EndpointHost {
    return { ...this.#host, device: () => this.device };
  }
}

export function createSlots(ports: readonly RootHubPort[], host: SlotHost): Slot[] {
  return Array.from({ length: SLOTS }, (_, index) => new Slot(index + 1, ports, host));
}

/**
 * Takes back the transfers of endpoints from their devices. @param then called once all have been taken back, with the
 * endpoints that had a transfer
 */
export function takeBackAll(
  endpoints: readonly Endpoint[],
  then: (had: readonly { readonly endpoint: Endpoint; readonly descriptor: TakenBack }[]) => void,
): void {
  const had: { endpoint: Endpoint; descriptor: TakenBack }[] = [];
  let left = endpoints.length;
  if (left === 0) then(had);
  for (const endpoint of endpoints)
    endpoint.takeBack(descriptor => {
      if (descriptor !== null) had.push({ endpoint, descriptor });
      if (--left === 0) then(had);
    });
}

type TakenBack = Parameters<Endpoint['report']>[0];
