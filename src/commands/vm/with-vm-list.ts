import type { VmList } from './vm-list.ts';

/** Does something with the VMs that there are, whether a manager runs or not. */
export async function withVmList<Result>(run: (vmList: VmList) => Promise<Result>): Promise<Result> {
  const { openVmList } = await import('./vm-list.ts');
  const vmList = await openVmList();
  try {
    return await run(vmList);
  } finally {
    await vmList.close();
  }
}
