import type { IoHandler } from '../../device.ts';
import type { Msix } from '../../pci/msix.ts';
import type { HostDevice } from '../host-device.ts';
import type { BarOfDevice } from '../passed-bars.ts';
import type { PassedFunction } from '../passed-function.ts';
import type { Trap } from '../traps.ts';

/** What a device is recognized by: its own IDs, whatever the guest sees. */
export type DeviceIdentity = {
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass and programming interface. */
  readonly classCode: number;
};

/** A passed-through device, to be changed before its guest runs. */
export type QuirkTarget = {
  readonly fn: PassedFunction;
  readonly host: HostDevice;
  readonly bars: ReadonlyMap<number, BarOfDevice>;
  /** Where the MSI capability is; null: the device has none. */
  readonly msi: number | null;
  /** Null: the device has no MSI-X. */
  readonly msix: Pick<Msix, 'readTable' | 'writeTable'> | null;
  /** Traps at the ports of a VGA adapter; null: it does not answer there. */
  readonly vgaPorts: Trap[] | null;
  readonly onError: (error: Error) => void;
};

/** What is special about some devices. */
export type Quirk = {
  readonly name: string;
  readonly why: string;
  /** Where that is known from. */
  readonly source: string;
  readonly concerns: (device: DeviceIdentity) => boolean;
  readonly apply?: (target: QuirkTarget) => void;
  /** Reading its expansion ROM harms the device: the guest sees none but that of a file. */
  readonly unreadableRom?: boolean;
};

const BASE_CLASS_SHIFT = 16;
const DISPLAY = 0x03;

/** VGA adapters, 3D controllers and other display controllers (PCI Code and ID Assignment 1.11 §1.4). */
export function isDisplay({ classCode }: DeviceIdentity): boolean {
  return classCode >>> BASE_CLASS_SHIFT === DISPLAY;
}

/** Has `handler` answer for a part of a BAR. A device without that part, which is then no device of this kind, stays as it is. */
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
