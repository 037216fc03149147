import type { Bar, BarKind } from '../pci/bar.ts';
import { BAR_TYPE, REG } from '../pci/registers.ts';
import { PassedBar } from './bar-parts.ts';
import type { HostConfig } from './host-config.ts';
import type { HostDevice } from './host-device.ts';
import type { PassedFunction } from './passed-function.ts';

/** A BAR of the guest, and its contents. */
export type BarOfDevice = { readonly bar: Bar; readonly parts: PassedBar };

export type PassedBarOptions = {
  readonly mappable: boolean;
  readonly onAccess: () => void;
  readonly onError: (error: Error) => void;
  readonly onMoved: () => void;
};

const BARS = 6;
/** The smallest BAR (PCI Local Bus 3.0 §6.2.5.1). */
const LEAST = { io: 4, memory: 16 } as const;

/** Adds the BARs of its device to a function, at the guest's addresses. @returns them by index */
export function addBars(
  fn: PassedFunction,
  device: HostDevice,
  host: HostConfig,
  options: PassedBarOptions,
): Map<number, BarOfDevice> {
  const bars = new Map<number, BarOfDevice>();
  for (let index = 0; index < BARS; index++) {
    const region = device.region(index);
    if (region.size === 0) continue;
    const register = host.u32(REG.bar0 + 4 * index);
    const kind = kindOf(register);
    const least = kind === 'io' ? LEAST.io : LEAST.memory;
    const size = 2 ** Math.ceil(Math.log2(Math.max(region.size, least)));
    const parts = new PassedBar(region, { ...options, mappable: options.mappable && kind !== 'io' });
    const prefetchable = kind !== 'io' && (register & BAR_TYPE.prefetchable) !== 0;
    const bar = fn.addBar(index, { kind, size, prefetchable, parts, onMoved: options.onMoved });
    bars.set(index, { bar, parts });
    // The next register has the high half of the address.
    if (kind === 'memory64') index++;
  }
  return bars;
}

function kindOf(register: number): BarKind {
  if ((register & BAR_TYPE.io) !== 0) return 'io';
  return (register & BAR_TYPE.memory64) !== 0 ? 'memory64' : 'memory32';
}
