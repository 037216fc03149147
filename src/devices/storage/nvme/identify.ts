import { MAX_EVENT_REQUESTS } from './event-requests.ts';
import { TEMPERATURE } from './features.ts';
import type { NvmeNamespace } from './namespace.ts';
import { COMPLETION_SHIFT, MAX_TRANSFER_SHIFT, SUBMISSION_SHIFT, VERSION_1_4 } from './registers.ts';

const BYTES = 4096;

/** CNS of Identify (NVMe base 1.4 §5.15.1): what is returned. */
export const CNS = { namespace: 0x00, controller: 0x01, activeNamespaces: 0x02, descriptors: 0x03 } as const;

/** QEMU's PCI vendor, and that of its subsystems. */
const [VENDOR, SUBSYSTEM_VENDOR] = [0x1b36, 0x1af4];
/** Log entries of errors that are kept. */
export const ERROR_ENTRIES = 16;

/** Optional commands: dataset management, write zeroes, save and select of features (§5.15.2.2, ONCS). */
const OPTIONAL_COMMANDS = (1 << 2) | (1 << 3) | (1 << 4);
/** A write cache, and a flush that means all namespaces (VWC). */
const WRITE_CACHE = 0b111;
/** Attributes of namespaces may change (OAES). */
const NAMESPACE_EVENTS = 1 << 8;
/** Get Log Page takes offsets and long lengths (LPA). */
const LONG_LOGS = 1 << 2;

export type ControllerIdentity = {
  /** ASCII, at most 20, 40 and 8 characters. */
  readonly serial: string;
  readonly model: string;
  readonly firmware: string;
  /** The NVMe qualified name of its subsystem. */
  readonly subsystem: string;
};

/** Identify Controller (NVMe base 1.4 §5.15.2.2). @param namespaces the largest identifier of a namespace */
export function identifyController(identity: ControllerIdentity, namespaces: number): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, VENDOR, true);
  view.setUint16(2, SUBSYSTEM_VENDOR, true);
  text(bytes, 4, identity.serial, 20);
  text(bytes, 24, identity.model, 40);
  text(bytes, 64, identity.firmware, 8);
  // RAB: bursts that suit the controller's arbitration.
  bytes[72] = 6;
  bytes[77] = MAX_TRANSFER_SHIFT;
  view.setUint32(80, VERSION_1_4, true);
  view.setUint32(92, NAMESPACE_EVENTS, true);
  // CNTRLTYPE: an I/O controller.
  bytes[111] = 1;
  // ACL: aborts at a time, minus one.
  bytes[258] = 3;
  bytes[259] = MAX_EVENT_REQUESTS - 1;
  // FRMW: one slot, which cannot be written.
  bytes[260] = 0b11;
  bytes[261] = LONG_LOGS;
  bytes[262] = ERROR_ENTRIES - 1;
  view.setUint16(266, TEMPERATURE.warning, true);
  view.setUint16(268, TEMPERATURE.critical, true);
  bytes[512] = (SUBMISSION_SHIFT << 4) | SUBMISSION_SHIFT;
  bytes[513] = (COMPLETION_SHIFT << 4) | COMPLETION_SHIFT;
  view.setUint32(516, namespaces, true);
  view.setUint16(520, OPTIONAL_COMMANDS, true);
  bytes[525] = WRITE_CACHE;
  bytes.set(new TextEncoder().encode(identity.subsystem).subarray(0, 255), 768);
  // Power state 0: 25 W.
  view.setUint16(2048, 2500, true);
  return bytes;
}

/** Features of a namespace: NPWG and its like are set (NSFEAT). */
const HAS_GRANULARITY = 1 << 4;
/** Write Zeroes may deallocate (DLFEAT). */
const DEALLOCATING_ZEROES = 1 << 3;

/** Identify Namespace (NVMe base 1.4 §5.15.2.1). */
export function identifyNamespace(namespace: NvmeNamespace): Uint8Array {
  const { identity, blocks, physicalBlock, isReadOnly, canDiscard } = namespace;
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  for (const at of [0, 8, 16]) view.setBigUint64(at, BigInt(blocks), true);
  bytes[24] = HAS_GRANULARITY;
  if (canDiscard) bytes[33] = DEALLOCATING_ZEROES;
  // Preferred granularity of writes and deallocation, in blocks, minus one.
  const granularity = physicalBlock / identity.block - 1;
  for (const at of [64, 68]) view.setUint16(at, granularity, true);
  // NSATTR: write protected.
  if (isReadOnly) bytes[99] = 1;
  bytes.set(identity.nguid, 104);
  bytes.set(identity.eui64, 120);
  // One format: LBADS.
  bytes[130] = Math.log2(identity.block);
  return bytes;
}

/** Types of namespace identification descriptors. */
const DESCRIPTOR = { eui64: 1, nguid: 2, uuid: 3 } as const;

/** The list of a namespace's identifiers (NVMe base 1.4 §5.15.2.4). */
export function namespaceDescriptors({ identity }: NvmeNamespace): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  let at = 0;
  for (const kind of ['eui64', 'nguid', 'uuid'] as const) {
    const value = identity[kind];
    if (value.every(byte => byte === 0)) continue;
    bytes.set([DESCRIPTOR[kind], value.length], at);
    bytes.set(value, at + 4);
    at += 4 + value.length;
  }
  return bytes;
}

/** A list of identifiers of namespaces, as many as fit. */
export function namespaceList(identifiers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, id] of identifiers.slice(0, BYTES / 4).entries()) view.setUint32(4 * index, id, true);
  return bytes;
}

/** What a namespace that does not exist returns. */
export function noNamespace(): Uint8Array {
  return new Uint8Array(BYTES);
}

function text(bytes: Uint8Array, at: number, value: string, length: number): void {
  bytes.set(new TextEncoder().encode(value.padEnd(length).slice(0, length)), at);
}
