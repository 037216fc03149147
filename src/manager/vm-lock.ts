import { join } from 'node:path';
import type { VmLock } from '../engine/vm.ts';
import { printable } from '../text/printable.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { type FileLock, LockHeldError, lockFile } from './file-lock.ts';
import { ensurePrivateFolder, managerPaths } from './paths.ts';

/**
 * Keeps every other process of this user from running a VM of this name, until it is released or this process ends.
 * @throws saying who runs it
 */
export function lockVm(name: string): VmLock {
  if (!VM_NAME.pattern.test(name))
    throw new Error(`"${printable(name)}" cannot be the name of a VM: expected ${VM_NAME.rule}`);
  const { runtime } = managerPaths();
  ensurePrivateFolder(runtime);
  const folder = join(runtime, 'vms');
  ensurePrivateFolder(folder);
  try {
    return lockFile(join(folder, `${name}.lock`), `the VM ${name} is run`);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new Error(`${error.message}; stop it there first, or choose another name`);
  }
}

/**
 * Makes this process the only manager of the socket and of the definitions: another one with the same definitions may look for its
 * socket elsewhere, when XDG_RUNTIME_DIR is another.
 * @throws LockHeldError saying who holds them
 */
export function lockOwnership({
  runtime,
  state,
}: {
  readonly runtime: string;
  readonly state: string;
}): FileLock {
  const socket = lockFile(join(runtime, 'manager.lock'), `the runtime folder ${runtime} is held`);
  try {
    const definitions = lockFile(join(state, 'manager.lock'), `the state folder ${state} is held`);
    return {
      release: () => {
        definitions.release();
        socket.release();
      },
    };
  } catch (error) {
    socket.release();
    throw error;
  }
}
