import { CAPABILITY } from '../../devices/pci/registers.ts';
import { HostConfig } from '../../devices/vfio/host-config.ts';
import type { HostRegion } from '../../devices/vfio/host-device.ts';

/** The location of a device's MSI-X table: in BAR `bar`. Bytes. */
export type MsixTable = { readonly bar: number; readonly offset: number; readonly size: number };

const ENTRY_BYTES = 16;

/** From its capability (PCI Local Bus 3.0 §6.8.2); null if the device has none. @throws HostDeviceError */
export function findMsixTable(region: Pick<HostRegion, 'size' | 'read'>): MsixTable | null {
  const config = HostConfig.read(region);
  const at = config.capabilities.find(({ id }) => id === CAPABILITY.msix)?.at;
  if (at === undefined) return null;
  const entries = (config.u16(at + 2) & 0x7ff) + 1;
  const table = config.u32(at + 4);
  return { bar: table & 7, offset: (table & ~7) >>> 0, size: entries * ENTRY_BYTES };
}
