import { nativeCalls } from './native-library.ts';
import { stuckQueues } from './queues.ts';

/**
 * Ends the threads of every VM of this process, and makes the machine threads' waits throw ECANCELED; memory stays
 * mapped. For a process that is exiting: Node waits for its own threads, and those wait for the guests'.
 */
export function shutDownAllVms(): void {
  nativeCalls().vring_shutdown_all();
}

/** Same, for one VM, on a separate thread: it waits for disk requests, a second at most. */
export function shutDownVmLater(handle: number): Promise<void> {
  return new Promise(resolve => nativeCalls().vring_vm_shutdown.async(handle, () => resolve()));
}

/**
 * `destroyVm` on a separate thread.
 * @returns the counter slots of the queues that were left behind, stuck in a disk request: the VM's memory stays
 * mapped, and its disk locked, until that ends
 */
export async function destroyVmLater(handle: number): Promise<number[]> {
  await shutDownVmLater(handle);
  const stuck = stuckQueues(handle);
  await new Promise<void>(resolve => nativeCalls().vring_vm_destroy.async(handle, () => resolve()));
  return stuck;
}
