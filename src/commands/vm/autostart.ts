import { setAutostart } from '../../definitions/change/autostart.ts';
import { print } from '../host/host-options.ts';
import { findVm } from './find.ts';
import type { VmList } from './vm-list.ts';

/** Prints or sets whether a VM starts with the manager. */
export async function autostartVm(
  vmList: VmList,
  name: string,
  wanted: 'on' | 'off' | undefined,
  options: { readonly json?: boolean },
): Promise<void> {
  const before = findVm(vmList.vms(), name).autostart;
  const on = wanted === undefined ? before : wanted === 'on';
  const changed = wanted !== undefined && (await setAutostart(vmList, name, on));
  const already = wanted !== undefined && !changed ? ' already' : '';
  print(options, { name, autostart: on, changed }, () => [
    `${name}: autostart is ${on ? 'on' : 'off'}${already}`,
  ]);
}
