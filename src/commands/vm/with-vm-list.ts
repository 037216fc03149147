import type { VmList } from './vm-list.ts';

/** Runs a function with all VMs, with or without a running manager. */
export async function withVmList<Result>(run: (vmList: VmList) => Promise<Result>): Promise<Result> {
  const { openVmList } = await import('./vm-list.ts');
  const vmList = await openVmList();
  try {
    return await run(vmList);
  } finally {
    await vmList.close();
  }
}
