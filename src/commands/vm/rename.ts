import { print } from '../host/host-options.ts';
import { findVm } from './find.ts';
import type { VmList } from './vm-list.ts';

export async function renameVm(
  vmList: VmList,
  name: string,
  newName: string,
  options: { readonly json?: boolean },
): Promise<void> {
  await vmList.rename(findVm(vmList.vms(), name).id, newName);
  print(options, { name: newName, previousName: name }, () => [
    `${name}: renamed to ${newName}; its disks keep their paths`,
  ]);
}
