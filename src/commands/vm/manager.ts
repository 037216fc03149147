import type { Engine } from '../../engine/engine.ts';
import type { ConnectOptions } from '../../manager/connect.ts';

/** Connects to the running manager, or to a new one if VMs run without. @throws if no VM runs */
export async function runningManager(options: ConnectOptions = {}): Promise<Engine> {
  const engine = await managerIfAny(options);
  if (engine !== null) return engine;
  const { unmanagedVms } = await import('../../manager/machines/unmanaged.ts');
  if (unmanagedVms().length > 0) return await managerOrNew(options);
  throw new Error('no manager is running, and no VM is: start a VM with vring vm start, or run vring serve');
}

/** Null if none runs. */
export async function managerIfAny(options: ConnectOptions = {}): Promise<Engine | null> {
  const { connectSoon } = await import('../../manager/connect.ts');
  return await connectSoon(options);
}

/** Starts one in the background if none runs. */
export async function managerOrNew(options: ConnectOptions = {}): Promise<Engine> {
  const { connectOrStart } = await import('../../manager/connect.ts');
  return await connectOrStart(options);
}

/** Runs a function with an engine, then closes the engine. */
export async function leaving<By extends Pick<Engine, 'close'>, Result>(
  engine: By,
  run: (engine: By) => Promise<Result>,
): Promise<Result> {
  try {
    return await run(engine);
  } finally {
    await engine.close();
  }
}
