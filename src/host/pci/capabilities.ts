import { capabilityNames, extendedCapabilityNames } from './capability-names.ts';
import type {
  AcsCapability,
  AcsControl,
  Capability,
  CapabilityBase,
  PcieCapability,
  ResizableBarCapability,
} from './capability-types.ts';
import type { ConfigSpace } from './config-space.ts';
import { aspmStates, linkSpeed, pcieTypes } from './pcie-values.ts';

/**
 * Decodes both capability lists (PCI Local Bus 3.0 §6.7, PCI Express 5.0 §7.6.3). The device is not
 * trusted: a loop or an out-of-range pointer ends a list.
 */
export function readCapabilities(config: ConfigSpace): Capability[] {
  const found: Capability[] = [];
  const seen = new Set<number>();
  let offset = firstCapability(config);
  while (offset >= 0x40 && !seen.has(offset)) {
    seen.add(offset);
    const id = config.u8(offset);
    if (id === 0xff) break;
    if (id !== 0) found.push(decode(config, id, offset));
    offset = config.u8(offset + 1) & 0xfc;
  }
  if (!found.some(capability => capability.kind === 'pcie')) return found;
  offset = 0x100;
  while (offset >= 0x100 && !seen.has(offset)) {
    seen.add(offset);
    const header = config.u32(offset);
    if (header === 0 || header === 0xffffffff) break;
    found.push(decodeExtended(config, header & 0xffff, offset));
    offset = (header >>> 20) & 0xffc;
  }
  return found;
}

/** Offset of the first capability; 0 if the function has none. */
export function firstCapability(config: ConfigSpace): number {
  const hasList = (config.u16(0x06) & 0x10) !== 0;
  const cardbus = (config.u8(0x0e) & 0x7f) === 2;
  return hasList ? config.u8(cardbus ? 0x14 : 0x34) & 0xfc : 0;
}

/** The first capability of a kind, with its type. */
export function capability<K extends Capability['kind']>(
  capabilities: readonly Capability[],
  kind: K,
): Extract<Capability, { kind: K }> | null {
  return (
    (capabilities.find(each => each.kind === kind) as Extract<Capability, { kind: K }> | undefined) ?? null
  );
}

function decode(config: ConfigSpace, id: number, offset: number): Capability {
  const base: CapabilityBase = {
    id,
    extended: false,
    offset,
    name: capabilityNames[id] ?? `capability ${hex(id)}`,
  };
  switch (id) {
    case 1: {
      const control = config.u16(offset + 4);
      const state = (['D0', 'D1', 'D2', 'D3hot'] as const)[control & 3]!;
      return { ...base, kind: 'pm', state, noSoftReset: bit(control, 3) };
    }
    case 5: {
      const control = config.u16(offset + 2);
      return {
        ...base,
        kind: 'msi',
        enabled: bit(control, 0),
        vectors: 1 << ((control >> 1) & 7),
        allocated: bit(control, 0) ? 1 << ((control >> 4) & 7) : 0,
        address64: bit(control, 7),
        maskable: bit(control, 8),
      };
    }
    case 16:
      return decodePcie(base, config);
    case 17: {
      const control = config.u16(offset + 2);
      const place = (value: number) => ({ bar: value & 7, offset: (value & ~7) >>> 0 });
      return {
        ...base,
        kind: 'msix',
        enabled: bit(control, 15),
        masked: bit(control, 14),
        vectors: (control & 0x7ff) + 1,
        table: place(config.u32(offset + 4)),
        pba: place(config.u32(offset + 8)),
      };
    }
    case 19:
      return { ...base, kind: 'af', flr: bit(config.u8(offset + 3), 1) };
    default:
      return { ...base, kind: 'other' };
  }
}

/** PCI Express 5.0 §7.5.3. */
function decodePcie(base: CapabilityBase, config: ConfigSpace): PcieCapability {
  const at = base.offset;
  const flags = config.u16(at + 2);
  const portType = (flags >> 4) & 0xf;
  const deviceCap = config.u32(at + 4);
  const linkCap = config.u32(at + 0x0c);
  const linkStatus = config.u16(at + 0x12);
  const slotCap = config.u32(at + 0x14);
  const bridge = portType === 4 || portType === 6 || portType === 8;
  const maxWidth = (linkCap >>> 4) & 0x3f;
  return {
    ...base,
    kind: 'pcie',
    type: pcieTypes[portType] ?? `type ${portType}`,
    flr: bit(deviceCap, 28),
    maxPayload: 128 << (deviceCap & 7),
    payload: 128 << ((config.u16(at + 8) >> 5) & 7),
    link:
      maxWidth === 0
        ? null
        : {
            max: { speed: linkSpeed(linkCap & 0xf), width: maxWidth },
            now: { speed: linkSpeed(linkStatus & 0xf), width: (linkStatus >> 4) & 0x3f },
            aspm: aspmStates[config.u16(at + 0x10) & 3]!,
            active: bit(linkCap, 20) ? bit(linkStatus, 13) : null,
          },
    slot:
      bridge && bit(flags, 8)
        ? {
            number: slotCap >>> 19,
            hotplug: bit(slotCap, 6),
            occupied: bit(config.u16(at + 0x1a), 6),
          }
        : null,
    ariForwarding: bridge && (flags & 0xf) >= 2 && bit(config.u16(at + 0x28), 5),
  };
}

function decodeExtended(config: ConfigSpace, id: number, offset: number): Capability {
  const base: CapabilityBase = {
    id,
    extended: true,
    offset,
    name: extendedCapabilityNames[id] ?? `extended capability ${hex(id)}`,
  };
  switch (id) {
    case 3: {
      const digits = [config.u32(offset + 8), config.u32(offset + 4)].map(word =>
        word.toString(16).padStart(8, '0'),
      );
      return { ...base, kind: 'serial', serial: digits.join('').replace(/..(?=.)/g, '$&-') };
    }
    case 13:
      return decodeAcs(base, config);
    case 14:
      return { ...base, kind: 'ari', nextFunction: config.u8(offset + 5) };
    case 15:
      return {
        ...base,
        kind: 'ats',
        enabled: bit(config.u16(offset + 6), 15),
        // 0 means 32 (PCI Express 5.0 §10.5.1.2).
        queueDepth: config.u16(offset + 4) & 0x1f || 32,
      };
    case 16:
      return {
        ...base,
        kind: 'sriov',
        enabled: bit(config.u16(offset + 8), 0),
        initialVfs: config.u16(offset + 0x0c),
        totalVfs: config.u16(offset + 0x0e),
        numVfs: config.u16(offset + 0x10),
        offset: config.u16(offset + 0x14),
        stride: config.u16(offset + 0x16),
        vfDevice: config
          .u16(offset + 0x1a)
          .toString(16)
          .padStart(4, '0'),
      };
    case 19:
      return { ...base, kind: 'pri', enabled: bit(config.u16(offset + 4), 0) };
    case 21:
      return decodeResizableBars(base, config);
    case 27:
      return {
        ...base,
        kind: 'pasid',
        enabled: bit(config.u16(offset + 6), 0),
        width: (config.u16(offset + 4) >> 8) & 0x1f,
      };
    default:
      return { ...base, kind: 'other' };
  }
}

/** PCI Express 5.0 §7.7.8. */
function decodeAcs(base: CapabilityBase, config: ConfigSpace): AcsCapability {
  const present = config.u16(base.offset + 4);
  const control = config.u16(base.offset + 6);
  const state = (index: number): AcsControl =>
    bit(present, index) ? (bit(control, index) ? 'on' : 'off') : 'absent';
  return {
    ...base,
    kind: 'acs',
    sourceValidation: state(0),
    translationBlocking: state(1),
    requestRedirect: state(2),
    completionRedirect: state(3),
    upstreamForwarding: state(4),
    egressControl: state(5),
    directTranslated: state(6),
  };
}

/** PCI Express 5.0 §7.8.6: sizes are powers of two from 1 MiB, 28 of them in the capability register. */
function decodeResizableBars(base: CapabilityBase, config: ConfigSpace): ResizableBarCapability {
  const count = Math.min((config.u32(base.offset + 8) >>> 5) & 7, 6);
  const bars = Array.from({ length: count }, (_, index) => {
    const supported = config.u32(base.offset + 4 + index * 8);
    const control = config.u32(base.offset + 8 + index * 8);
    const sizes = Array.from({ length: 28 }, (_, power) => power)
      .filter(power => bit(supported, power + 4))
      .map(power => 2 ** (20 + power));
    return { bar: control & 7, size: 2 ** (20 + ((control >>> 8) & 0x3f)), sizes };
  });
  return { ...base, kind: 'resizable-bar', bars };
}

function bit(value: number, index: number): boolean {
  return ((value >>> index) & 1) !== 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
