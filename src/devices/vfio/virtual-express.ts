import type { PciSlot } from '../pci/pci-function.ts';
import { EXPRESS_TYPE, LINK, PCIE } from '../pci/pcie-capability.ts';
import { CAPABILITY } from '../pci/registers.ts';
import type { HostConfig } from './host-config.ts';
import type { PassedFunction } from './passed-function.ts';

const VERSION = 0xf;
const TYPE_SHIFT = 4;
/** The size of an endpoint's capability, in version 1 and in later ones. */
const SIZE = { version1: 0x14, version2: 0x3c } as const;

/**
 * Device capabilities: phantom functions, the slot's power limit, and function level reset (PCI Express Base 4.0
 * §7.5.3.3).
 */
const PHANTOM_FUNCTIONS = 0x18;
const SLOT_POWER = 0x0ffc_0000;
const FLR_CAPABLE = 1 << 28;

/** Device control (§7.5.3.4). */
const PHANTOM_ENABLE = 0x0200;
const FLR = 0x8000;
/**
 * The guest driver controls relaxed ordering, extended tags, no snoop and the maximum read request size. Payload size
 * and error reporting stay as the host has set them.
 */
const DRIVERS = 0x10 | 0x100 | 0x800 | 0x7000;

/** Link capabilities: ASPM and clock power management (§7.5.3.6). */
const LINK_POWER = 0x0c00 | (1 << 18);
const LINK_CONTROL_WRITABLE = 0x0fc3;
const LINK_GEN1_X1 = 0x11;

/**
 * Device capabilities 2 that depend on more than the device: ARI forwarding, LTR, TPH, 10-bit tags, OBFF, prefixes
 * (§7.5.3.15).
 */
const NEEDS_MORE = 0x0020 | 0x0800 | 0x3000 | 0x3_0000 | 0xc_0000 | (1 << 21);
/** Device control 2: completion timeout and its disabling (§7.5.3.16). */
const COMPLETION_TIMEOUT = 0x1f;
const DEVICE_CAPABILITIES_2 = 0x24;
const DEVICE_CONTROL_2 = 0x28;
const LINK_CAPABILITIES_2 = 0x2c;
const LINK_CONTROL_2 = 0x30;
const LINK_STATUS_2 = 0x32;

/**
 * The PCI Express capability of a passed-through function (PCI Express Base 4.0 §7.5.3): with its device's properties,
 * and the type for its place in the guest, an integrated endpoint on bus 0 or an endpoint behind a port. Behind a
 * conventional bridge there is none.
 *
 * @param onFlr the guest has started a function level reset
 * @returns its size in bytes
 */
export function addVirtualExpress(
  fn: PassedFunction,
  host: HostConfig,
  at: number,
  onFlr: () => void,
): number {
  const { config } = fn;
  const flags = host.u16(at + PCIE.capabilities);
  const size = (flags & VERSION) >= 2 ? SIZE.version2 : SIZE.version1;
  fn.hide(at + 2, at + size);
  const capabilities = host.u32(at + PCIE.deviceCapabilities) & ~(PHANTOM_FUNCTIONS | SLOT_POWER);
  config.define(at + PCIE.deviceCapabilities, 4, capabilities >>> 0);
  const control = host.u16(at + PCIE.deviceControl) & ~(FLR | PHANTOM_ENABLE);
  const canReset = (capabilities & FLR_CAPABLE) !== 0;
  config.define(at + PCIE.deviceControl, 2, control, {
    writable: 0xffff & ~PHANTOM_ENABLE & (canReset ? 0xffff : ~FLR),
  });
  fn.addHook({
    start: at + PCIE.deviceControl,
    end: at + PCIE.deviceControl + 2,
    afterWrite: () => {
      const value = config.u16(at + PCIE.deviceControl);
      config.setU16(at + PCIE.deviceControl, value & ~FLR);
      fn.change16(at + PCIE.deviceControl, DRIVERS, value);
      if ((value & FLR) !== 0) onFlr();
    },
  });
  fn.pass(at + PCIE.deviceStatus, at + PCIE.deviceStatus + 2, { writable: true });
  if (size > DEVICE_CAPABILITIES_2) addSecondPart(fn, host, at);
  fn.onAttach(bus => place(fn, host, at, size, bus));
  return size;
}

function addSecondPart(fn: PassedFunction, host: HostConfig, at: number): void {
  const { config } = fn;
  config.define(at + DEVICE_CAPABILITIES_2, 4, (host.u32(at + DEVICE_CAPABILITIES_2) & ~NEEDS_MORE) >>> 0);
  config.define(at + DEVICE_CONTROL_2, 2, host.u16(at + DEVICE_CONTROL_2) & COMPLETION_TIMEOUT, {
    writable: COMPLETION_TIMEOUT,
  });
  fn.addHook({
    start: at + DEVICE_CONTROL_2,
    end: at + DEVICE_CONTROL_2 + 2,
    afterWrite: () =>
      fn.change16(at + DEVICE_CONTROL_2, COMPLETION_TIMEOUT, config.u16(at + DEVICE_CONTROL_2)),
  });
}

/** Sets what depends on the bus that it is plugged into. */
function place(fn: PassedFunction, host: HostConfig, at: number, size: number, slot: PciSlot): void {
  const { config } = fn;
  const flags = host.u16(at + PCIE.capabilities);
  const own =
    ((flags >>> TYPE_SHIFT) & 0xf) === EXPRESS_TYPE.legacyEndpoint
      ? EXPRESS_TYPE.legacyEndpoint
      : EXPRESS_TYPE.endpoint;
  const { type: bus } = slot;
  const type = bus === 'link' ? own : EXPRESS_TYPE.rootComplexEndpoint;
  // The null capability (PCI Code and ID Assignment 1.11 §2): drivers skip it.
  config.define(at, 1, bus === 'conventional' ? 0 : CAPABILITY.pciExpress);
  config.define(at + PCIE.capabilities, 2, (flags & VERSION) | (type << TYPE_SHIFT));
  fn.hide(at + PCIE.linkCapabilities, at + PCIE.slotCapabilities);
  const second = size > LINK_CAPABILITIES_2;
  if (second) fn.hide(at + LINK_CAPABILITIES_2, at + LINK_STATUS_2 + 2);
  if (bus !== 'link') return;

  const link = host.u32(at + PCIE.linkCapabilities);
  const integrated = ((flags >>> TYPE_SHIFT) & 0xf) === EXPRESS_TYPE.rootComplexEndpoint || link === 0;
  config.define(at + PCIE.linkCapabilities, 4, integrated ? LINK_GEN1_X1 : (link & ~LINK_POWER) >>> 0);
  config.define(at + PCIE.linkControl, 2, 0, { writable: LINK_CONTROL_WRITABLE });
  if (integrated) {
    config.define(at + PCIE.linkStatus, 2, LINK_GEN1_X1);
    return;
  }
  fn.pass(at + PCIE.linkStatus, at + PCIE.linkStatus + 2, { writable: false });
  slot.train(link & LINK.mask);
  if (!second) return;
  config.define(at + LINK_CAPABILITIES_2, 4, host.u32(at + LINK_CAPABILITIES_2));
  config.define(at + LINK_CONTROL_2, 2, host.u16(at + LINK_CONTROL_2), { writable: 0xffff });
  fn.pass(at + LINK_STATUS_2, at + LINK_STATUS_2 + 2, { writable: false });
}
