import { ATI_QUIRKS } from './ati.ts';
import { NVIDIA_QUIRKS } from './nvidia.ts';
import type { DeviceIdentity, Quirk } from './quirk.ts';
import { RTL8168_QUIRK } from './rtl8168.ts';

/** The workarounds, in the order in which they are applied. */
export const QUIRKS: readonly Quirk[] = [
  ...NVIDIA_QUIRKS,
  ...ATI_QUIRKS,
  RTL8168_QUIRK,
  {
    name: 'BCM57810 expansion ROM',
    why: 'reading it stops the device, and blocks the reader',
    source: 'QEMU hw/vfio/pci-quirks.c (rom_denylist)',
    concerns: ({ vendor, device }) => vendor === 0x14e4 && device === 0x168e,
    unreadableRom: true,
  },
];

export function quirksOf(device: DeviceIdentity): Quirk[] {
  return QUIRKS.filter(({ concerns }) => concerns(device));
}
