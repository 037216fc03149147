import type { Cell } from '../../components/table/table.tsx';
import type { FunctionUse } from '../../host/use/use.ts';
import { isParkingDriver } from '../../host/vfio/read.ts';
import { isInUse, wordsOfUse } from '../../view/host-use.ts';

/** An address as the lists write it: without the domain where all are in domain 0. */
export function shortAddress(address: string, withDomain: boolean): string {
  return withDomain ? address : address.replace(/^0000:/, '');
}

export function markCell(marked: boolean): Cell {
  return marked ? { text: '*', token: 'key' } : '';
}

export function driverCell(driver: string | null): Cell {
  if (driver === null) return { text: '-', token: 'text.secondary' };
  return isParkingDriver(driver) ? { text: driver, token: 'text.accent' } : driver;
}

/** What the host uses a function for, and how many VFs it has; a warning where the host depends on it. */
export function hostUseCell(use: FunctionUse | undefined, vfs = 0): Cell {
  const text = [wordsOfUse(use), vfs === 0 ? '' : `${vfs} VF${vfs === 1 ? '' : 's'}`]
    .filter(Boolean)
    .join(', ');
  return isInUse(use) ? { text, token: 'status.warning' } : text;
}
