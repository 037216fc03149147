import type { ReceiveFilter } from '../backends/net.ts';
import type { DeviceState } from '../device.ts';
import { booleanOf, bytesOf, DeviceStateError } from '../state.ts';

const MAC_BYTES = 6;
/** With more addresses than this, all of the kind are received. */
const MAX_ADDRESSES = 256;
const VLANS = 4096;

const MODES = [
  'promiscuous',
  'allMulticast',
  'allUnicast',
  'noMulticast',
  'noUnicast',
  'noBroadcast',
] as const satisfies readonly (keyof ReceiveFilter)[];

export type ReceiveMode = (typeof MODES)[number];

/** The modes in the order of their commands (virtio 1.3 §5.1.6.5.1). */
export const RECEIVE_MODES: readonly ReceiveMode[] = MODES;

/** The frames that a driver has asked for (§5.1.6.5.1 to §5.1.6.5.3). */
export class NetFilter {
  readonly #modes = new Set<ReceiveMode>();
  #unicast = new Uint8Array();
  #multicast = new Uint8Array();
  /** The driver has set more addresses than there is room for. */
  #manyUnicast = false;
  #manyMulticast = false;
  /** One bit per VLAN. */
  readonly #vlans = new Uint8Array(VLANS / 8);

  constructor() {
    this.reset();
  }

  /** A driver that sets no filter receives everything. */
  reset(): void {
    this.#modes.clear();
    this.#modes.add('promiscuous');
    this.setAddresses(new Uint8Array(), new Uint8Array());
    this.#vlans.fill(0);
  }

  setMode(mode: ReceiveMode, on: boolean): void {
    if (on) this.#modes.add(mode);
    else this.#modes.delete(mode);
  }

  /** @param unicast addresses, 6 bytes each */
  setAddresses(unicast: Uint8Array, multicast: Uint8Array): void {
    this.#manyUnicast = unicast.length > MAX_ADDRESSES * MAC_BYTES;
    this.#manyMulticast = multicast.length > MAX_ADDRESSES * MAC_BYTES;
    this.#unicast = this.#manyUnicast ? new Uint8Array() : unicast.slice();
    this.#multicast = this.#manyMulticast ? new Uint8Array() : multicast.slice();
  }

  setVlan(vlan: number, on: boolean): void {
    const bit = 1 << (vlan & 7);
    if (on) this.#vlans[vlan >> 3]! |= bit;
    else this.#vlans[vlan >> 3]! &= ~bit;
  }

  /** @param mac the card's own address. @param vlans whether the driver filters VLANs */
  filter(mac: Uint8Array, vlans: boolean): ReceiveFilter {
    const has = (mode: ReceiveMode) => this.#modes.has(mode);
    return {
      promiscuous: has('promiscuous'),
      allMulticast: has('allMulticast') || this.#manyMulticast,
      allUnicast: has('allUnicast') || this.#manyUnicast,
      noMulticast: has('noMulticast'),
      noUnicast: has('noUnicast'),
      noBroadcast: has('noBroadcast'),
      unicast: [mac.slice(), ...addresses(this.#unicast)],
      multicast: addresses(this.#multicast),
      vlans: vlans ? this.#vlanNumbers() : null,
    };
  }

  save(): DeviceState {
    return {
      modes: Object.fromEntries(MODES.map(mode => [mode, this.#modes.has(mode)])),
      unicast: this.#unicast.slice(),
      multicast: this.#multicast.slice(),
      manyUnicast: this.#manyUnicast,
      manyMulticast: this.#manyMulticast,
      vlans: this.#vlans.slice(),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const { modes } = state;
    if (typeof modes !== 'object' || modes === null || Array.isArray(modes) || modes instanceof Uint8Array)
      throw new DeviceStateError('modes', 'modes of reception');
    const on = MODES.filter(mode => booleanOf(modes, mode));
    const [unicast, multicast] = [addressesOf(state, 'unicast'), addressesOf(state, 'multicast')];
    const many = [booleanOf(state, 'manyUnicast'), booleanOf(state, 'manyMulticast')];
    const vlans = bytesOf(state, 'vlans');
    if (vlans.length !== this.#vlans.length) throw new DeviceStateError('vlans', 'set of VLANs');
    this.#modes.clear();
    for (const mode of on) this.#modes.add(mode);
    this.setAddresses(unicast, multicast);
    [this.#manyUnicast, this.#manyMulticast] = [many[0]!, many[1]!];
    this.#vlans.set(vlans);
  }

  #vlanNumbers(): number[] {
    return Array.from({ length: VLANS }, (_, vlan) => vlan).filter(
      vlan => (this.#vlans[vlan >> 3]! >> (vlan & 7)) & 1,
    );
  }
}

function addresses(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / MAC_BYTES }, (_, index) =>
    bytes.slice(index * MAC_BYTES, (index + 1) * MAC_BYTES),
  );
}

function addressesOf(state: DeviceState, key: string): Uint8Array {
  const bytes = bytesOf(state, key);
  if (bytes.length % MAC_BYTES !== 0 || bytes.length > MAX_ADDRESSES * MAC_BYTES)
    throw new DeviceStateError(key, `list of at most ${MAX_ADDRESSES} addresses`);
  return bytes;
}
