import * as z from 'zod';
import { deviceSerial } from '../pci/details.ts';
import { deviceName, type PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { natural, printable } from '../text.ts';

/**
 * What distinguishes a device from another one at the same address: addresses change when cards are added, or when the
 * firmware disables a slot.
 */
export const identitySchema = z.object({
  vendor: z.string(),
  device: z.string(),
  subsystem: z.string().nullable(),
  /** Device Serial Number capability, or an NVMe controller's serial number. */
  serial: z.string().nullable(),
  /** Permanent address of its first network interface, if a host driver was bound. */
  mac: z.string().nullable(),
  /** Its name, for messages. */
  name: z.string(),
});

export type Identity = z.infer<typeof identitySchema>;

export function identify(root: HostRoot, fn: PciFunction): Identity {
  return {
    vendor: fn.vendor,
    device: fn.device,
    subsystem: fn.subsystemVendor === null ? null : `${fn.subsystemVendor}:${fn.subsystemDevice}`,
    serial: deviceSerial(fn) ?? nvmeSerial(root, fn),
    mac: firstMac(root, fn),
    name: deviceName(fn),
  };
}

/** Whether `now` may be the stored device. A value that only one of them has is not compared. */
export function sameDevice(stored: Identity, now: Identity): boolean {
  const known = (a: string | null, b: string | null): boolean => a === null || b === null || a === b;
  return (
    stored.vendor === now.vendor &&
    stored.device === now.device &&
    known(stored.subsystem, now.subsystem) &&
    known(stored.serial, now.serial) &&
    known(stored.mac, now.mac)
  );
}

/** `Intel Corporation 82576 [8086:10c9], serial 00-..., MAC 52:54:...` */
export function identityText(identity: Identity): string {
  const parts = [`${identity.name} [${identity.vendor}:${identity.device}]`];
  if (identity.serial !== null) parts.push(`serial ${identity.serial}`);
  if (identity.mac !== null) parts.push(`MAC ${identity.mac}`);
  return parts.join(', ');
}

function nvmeSerial(root: HostRoot, fn: PciFunction): string | null {
  const controller = root.list(`${fn.path}/nvme`)?.[0];
  const serial = controller === undefined ? null : root.attribute(`${fn.path}/nvme/${controller}/serial`);
  return serial ? printable(serial) : null;
}

/**
 * Only the permanent address: one that was set, stolen from another device or random (addr_assign_type) may differ at
 * each boot.
 */
function firstMac(root: HostRoot, fn: PciFunction): string | null {
  const name = root.list(`${fn.path}/net`)?.sort(natural)[0];
  if (name === undefined || root.attribute(`${fn.path}/net/${name}/addr_assign_type`) !== '0') return null;
  const mac = root.attribute(`${fn.path}/net/${name}/address`);
  return mac !== null && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) ? mac : null;
}
