import type { ReceiveSideScaling } from '../backends/net.ts';
import { NET_FEATURE } from './net-features.ts';
import { RECEIVE_MODES, type ReceiveMode } from './net-filter.ts';
import { rssOf } from './net-rss.ts';

/** Classes of commands (virtio 1.3 §5.1.6.5). */
const CLASS = { rx: 0, mac: 1, vlan: 2, announce: 3, multiqueue: 4, guestOffloads: 5 } as const;
const MAC = { tableSet: 0, addressSet: 1 } as const;
const VLAN = { add: 0, remove: 1 } as const;
const ANNOUNCE_ACK = 0;
const PAIRS_SET = 0;
const RSS_CONFIG = 1;
const OFFLOADS_SET = 0;

const MAC_BYTES = 6;
const VLANS = 4096;
/** Modes of RX_EXTRA: those from `allUnicast` on. */
const FIRST_EXTRA = 2;

/** The maximum size of a command that is read: two tables of thousands of addresses. */
export const MAX_COMMAND = 65_536;

/** The results of a command. */
export const ACK = { ok: 0, error: 1 } as const;

/** The device that commands are carried out on. */
export interface NetControl {
  /** The negotiated features. */
  readonly agreed: bigint;
  setMode(mode: ReceiveMode, on: boolean): void;
  /** Addresses of 6 bytes each. */
  setAddresses(unicast: Uint8Array, multicast: Uint8Array): void;
  setMac(mac: Uint8Array): void;
  setVlan(vlan: number, on: boolean): void;
  announced(): void;
  /** @returns false if there are not that many */
  setPairs(count: number): boolean;
  /** Spreads received frames, using `pairs` pairs. @returns false if there are not that many */
  setScaling(scaling: ReceiveSideScaling, pairs: number): boolean;
  /** @returns false if not all of them were negotiated */
  setGuestOffloads(bits: bigint): boolean;
}

/** Carries out a driver's command. @param bytes what the driver wrote. @returns the result */
export function carryOut(control: NetControl, bytes: Uint8Array): number {
  if (bytes.length < 2) return ACK.error;
  const command = bytes[1]!;
  const data = bytes.subarray(2);
  const has = (feature: bigint) => (control.agreed & feature) !== 0n;
  switch (bytes[0]) {
    case CLASS.rx:
      return answer(setMode(control, command, data));
    case CLASS.mac:
      if (command === MAC.tableSet && has(NET_FEATURE.ctrlRx)) return answer(setTable(control, data));
      if (command === MAC.addressSet && has(NET_FEATURE.ctrlMac)) return answer(setAddress(control, data));
      return ACK.error;
    case CLASS.vlan:
      return answer(has(NET_FEATURE.ctrlVlan) && setVlan(control, command, data));
    case CLASS.announce:
      if (command !== ANNOUNCE_ACK || !has(NET_FEATURE.guestAnnounce)) return ACK.error;
      control.announced();
      return ACK.ok;
    case CLASS.multiqueue:
      if (command === RSS_CONFIG) return answer(has(NET_FEATURE.rss) && setScaling(control, data));
      if (command !== PAIRS_SET || !has(NET_FEATURE.multiqueue) || data.length !== 2) return ACK.error;
      return answer(control.setPairs(view(data).getUint16(0, true)));
    case CLASS.guestOffloads:
      if (command !== OFFLOADS_SET || !has(NET_FEATURE.ctrlGuestOffloads) || data.length !== 8)
        return ACK.error;
      return answer(control.setGuestOffloads(view(data).getBigUint64(0, true)));
    default:
      return ACK.error;
  }
}

function answer(ok: boolean): number {
  return ok ? ACK.ok : ACK.error;
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

function setMode(control: NetControl, command: number, data: Uint8Array): boolean {
  const mode = RECEIVE_MODES[command];
  const needed = command < FIRST_EXTRA ? NET_FEATURE.ctrlRx : NET_FEATURE.ctrlRxExtra;
  if (mode === undefined || (control.agreed & needed) === 0n || data.length !== 1) return false;
  control.setMode(mode, data[0] !== 0);
  return true;
}

function setScaling(control: NetControl, data: Uint8Array): boolean {
  const wanted = rssOf(data);
  return wanted !== null && control.setScaling(wanted.scaling, wanted.pairs);
}

/** Two tables, each {le32 entries, u8 macs[entries][6]}: of unicast, then of multicast addresses. */
function setTable(control: NetControl, data: Uint8Array): boolean {
  const unicast = tableOf(data);
  const multicast = unicast && tableOf(data.subarray(4 + unicast.length));
  if (unicast === null || multicast === null) return false;
  if (data.length !== 8 + unicast.length + multicast.length) return false;
  control.setAddresses(unicast, multicast);
  return true;
}

function tableOf(data: Uint8Array): Uint8Array | null {
  if (data.length < 4) return null;
  const bytes = view(data).getUint32(0, true) * MAC_BYTES;
  return 4 + bytes > data.length ? null : data.subarray(4, 4 + bytes);
}

function setAddress(control: NetControl, data: Uint8Array): boolean {
  if (data.length !== MAC_BYTES) return false;
  control.setMac(data);
  return true;
}

function setVlan(control: NetControl, command: number, data: Uint8Array): boolean {
  if ((command !== VLAN.add && command !== VLAN.remove) || data.length !== 2) return false;
  const vlan = view(data).getUint16(0, true);
  if (vlan >= VLANS) return false;
  control.setVlan(vlan, command === VLAN.add);
  return true;
}
