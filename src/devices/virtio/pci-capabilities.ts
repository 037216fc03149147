import type { IoHandler } from '../device.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { CAPABILITY } from '../pci/registers.ts';

/** Configuration structures that a capability points to (virtio 1.3 §4.1.4). */
const CFG_TYPE = { common: 1, notify: 2, isr: 3, device: 4, pci: 5 } as const;

/** The layout of the single BAR of a virtio function. */
export type VirtioBarLayout = {
  readonly bar: number;
  readonly common: Place;
  readonly isr: Place;
  readonly device: Place;
  readonly notify: Place;
  /** Bytes between the notification addresses of consecutive queues. */
  readonly notifyMultiplier: number;
};

export type Place = { readonly offset: number; readonly size: number };

/** Appends the vendor capabilities that point drivers to the structures. */
export function addVirtioCapabilities(fn: PciFunction, layout: VirtioBarLayout, access: IoHandler): void {
  const { bar } = layout;
  fn.addCapability(CAPABILITY.vendor, body(CFG_TYPE.common, bar, layout.common));
  fn.addCapability(CAPABILITY.vendor, body(CFG_TYPE.isr, bar, layout.isr));
  if (layout.device.size > 0) fn.addCapability(CAPABILITY.vendor, body(CFG_TYPE.device, bar, layout.device));
  const notify = body(CFG_TYPE.notify, bar, layout.notify, 4);
  new DataView(notify.buffer).setUint32(14, layout.notifyMultiplier, true);
  fn.addCapability(CAPABILITY.vendor, notify);
  addAccessCapability(fn, bar, access);
}

/** Fields of the access capability, from its start. */
const ACCESS = { bar: 4, offset: 8, length: 12, data: 16, end: 20 } as const;

/**
 * The capability with which a driver reaches the BAR without mapping it (§4.1.4.9): it sets BAR, offset and length, and
 * an access to the data field is forwarded to the BAR.
 */
function addAccessCapability(fn: PciFunction, bar: number, access: IoHandler): void {
  const { config } = fn;
  const at = fn.addCapability(CAPABILITY.vendor, body(CFG_TYPE.pci, 0, { offset: 0, size: 0 }, 4));
  config.define(at + ACCESS.bar, 1, 0, { writable: 0xff });
  for (const field of [ACCESS.offset, ACCESS.length, ACCESS.data]) {
    config.define(at + field, 4, 0, { writable: 0xffff_ffff });
  }

  const perform = (write: boolean): void => {
    const offset = config.u32(at + ACCESS.offset);
    const length = config.u32(at + ACCESS.length);
    if (length !== 1 && length !== 2 && length !== 4) return;
    if (config.u8(at + ACCESS.bar) !== bar || offset % length !== 0) return;
    if (write) access.write(offset, length, config.read(at + ACCESS.data, length));
    else config.setU32(at + ACCESS.data, access.read(offset, length) & (0xffff_ffff >>> (32 - 8 * length)));
  };
  fn.addHook({
    start: at + ACCESS.data,
    end: at + ACCESS.end,
    beforeRead: () => perform(false),
    afterWrite: () => perform(true),
  });
}

/** A capability's bytes after its ID and next pointer, with `extra` zero bytes at the end. */
function body(type: number, bar: number, place: Place, extra = 0): Uint8Array {
  const bytes = new Uint8Array(14 + extra);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 2 + bytes.length);
  view.setUint8(1, type);
  view.setUint8(2, bar);
  view.setUint32(6, place.offset, true);
  view.setUint32(10, place.size, true);
  return bytes;
}
