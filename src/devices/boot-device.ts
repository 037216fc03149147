import type { PciFunction } from './pci/pci-function.ts';
import { madeOnce, type Zod } from './zod.ts';

/** What firmware may boot from, as its menu and `boot order` distinguish it. */
export const BOOT_KINDS = ['floppy', 'disk', 'cdrom', 'network'] as const;

export type BootKind = (typeof BOOT_KINDS)[number];

/** A device that firmware can boot from. Its path is that of its bus if `below` is absent. */
export type BootDevice = Partial<BootPath> & {
  /** Null if only its index gives it a place in the order. */
  readonly kind: BootKind | null;
  /** Its place in the order, ahead of devices without one. */
  readonly index?: number | undefined;
};

/** Where firmware looks for a device. */
export type BootPath = {
  /** The name of its PCI function, or of its controller's, in an Open Firmware path; default: `scsi`. */
  readonly node?: string;
  /** The path below its PCI function or its controller's, from its address there: `/disk@0,0`. */
  readonly below: string | ((address: { readonly unit: number; readonly function: number }) => string);
};

/** The options of a device that firmware can boot from. */
export const bootFields = madeOnce((z: Zod) => ({
  bootindex: z
    .int()
    .min(0, 'at least 0')
    .max(999_999_999, 'at most 999999999')
    .optional()
    .describe('its position in the boot order of the firmware (default: after those with one)'),
}));

/** `/pci@i0cf8/scsi@4`, an Open Firmware path as QEMU writes it, and SeaBIOS and OVMF read it. */
export function firmwarePath(fn: PciFunction, node: string, bridges: readonly PciFunction[] = []): string {
  const at = ({ place: { slot, function: number } }: PciFunction) =>
    `@${slot.toString(16)}${number === 0 ? '' : `,${number}`}`;
  return `/pci@i0cf8${bridges.map(bridge => `/pci-bridge${at(bridge)}`).join('')}/${node}${at(fn)}`;
}
