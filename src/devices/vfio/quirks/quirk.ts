import type { IoHandler } from '../../device.ts';
import type { Msix } from '../../pci/msix.ts';
import type { HostDevice } from '../host-device.ts';
import type { BarOfDevice } from '../passed-bars.ts';
import type { PassedFunction } from '../passed-function.ts';
import type { Trap } from '../traps.ts';

/** How a device is recognized: by its own IDs, whatever the guest sees. */
export type DeviceIdentity = {
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass and programming interface. */
  readonly classCode: number;
};

/** A passed-through device, for changes before its guest runs. */
export type QuirkTarget = {
  readonly fn: PassedFunction;
  readonly host: HostDevice;
  readonly bars: ReadonlyMap<number, BarOfDevice>;
  /** The offset of the MSI capability; null if the device has none. */
  readonly msi: number | null;
  /** Null if the device has no MSI-X. */
  readonly msix: Pick<Msix, 'readTable' | 'writeTable'> | null;
  /** Traps at the ports of a VGA adapter; null if it does not respond there. */
  readonly vgaPorts: Trap[] | null;
  readonly onError: (error: Error) => void;
};

/** A workaround for some devices. */
export type Quirk = {
  readonly name: string;
  readonly why: string;
  /** Where it is documented. */
  readonly source: string;
  readonly concerns: (device: DeviceIdentity) => boolean;
  readonly apply?: (target: QuirkTarget) => void;
  /** Reading its expansion ROM harms the device: the guest only sees a ROM from a file. */
  readonly unreadableRom?: boolean;
};

const BASE_CLASS_SHIFT = 16;
const DISPLAY = 0x03;

/** VGA adapters, 3D controllers and other display controllers (PCI Code and ID Assignment 1.11 §1.4). */
export function isDisplay({ classCode }: DeviceIdentity): boolean {
  return classCode >>> BASE_CLASS_SHIFT === DISPLAY;
}

/**
 * Makes `handler` handle a part of a BAR. A device without that part, which hence is not of this kind, is not changed.
 */
export function trapBar({ bars }: QuirkTarget, index: number, trap: Trap): void {
  const bar = bars.get(index);
  if (bar !== undefined && trap.start + trap.size <= bar.bar.size) bar.parts.addTrap(trap);
}

/** The configuration space that the guest sees, as memory. @param written called after a write */
export function configMirror(fn: PassedFunction, written: IoHandler['write'] = () => {}): IoHandler {
  return {
    read: (offset, size) => fn.readConfig(offset, size),
    write: (offset, size, value) => {
      fn.writeConfig(offset, size, value);
      written(offset, size, value);
    },
  };
}
