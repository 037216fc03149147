import type { LocalEngine } from '../engine/local-engine.ts';
import { IN_PROCESS } from '../manager/in-process-option.ts';

export const IN_PROCESS_OPTION = [
  IN_PROCESS,
  'run the VMs in this process, without a manager: they end with it',
] as const;

/**
 * An engine whose VMs are threads of this process, with a manager's definitions and folders, which are locked until
 * this process ends.
 * @throws when a manager holds them, or VMs run that a manager would have to take over
 */
export async function inProcessEngine(): Promise<LocalEngine> {
  const [
    { LocalEngine },
    { DefinitionStore },
    { ensurePrivateFolder, managerPaths },
    locks,
    { LockHeldError },
    { unmanagedVms },
    { metricsNow },
    { hostDevices },
  ] = await Promise.all([
    import('../engine/local-engine.ts'),
    import('../definitions/store.ts'),
    import('../manager/paths.ts'),
    import('../manager/vm-lock.ts'),
    import('../manager/file-lock.ts'),
    import('../manager/machines/unmanaged.ts'),
    import('../report/metrics-now.ts'),
    import('../manager/host-devices.ts'),
  ]);
  const paths = managerPaths();
  ensurePrivateFolder(paths.runtime);
  ensurePrivateFolder(paths.state);
  let ownership: ReturnType<typeof locks.lockOwnership>;
  try {
    ownership = locks.lockOwnership(paths);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new Error(`${error.message}: run vring without ${IN_PROCESS}, or end that process first`);
  }
  const running = unmanagedVms().map(({ name }) => name);
  if (running.length > 0) {
    ownership.release();
    throw new Error(
      `${running.join(', ')} run already, in processes of their own: run vring without ${IN_PROCESS}, or shut them down with vring manager stop`,
    );
  }
  process.once('exit', () => ownership.release());
  const engine = new LocalEngine({
    definitions: new DefinitionStore(),
    takePlace: locks.lockName,
    metrics: metricsNow,
    hostDevices: hostDevices(),
  });
  void engine.recoverHostDevices();
  return engine;
}
