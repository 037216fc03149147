import type { Engine } from '../../engine/engine.ts';
import type { ConnectOptions } from '../../manager/connect.ts';

/** The process that runs the VMs. @throws when there is none */
export async function runningManager(options: ConnectOptions = {}): Promise<Engine> {
  const engine = await managerIfAny(options);
  if (engine !== null) return engine;
  throw new Error(
    'no vring owns VMs at the moment, so none runs: start one with vring vm start, or have vring serve run as a service',
  );
}

/** Null when there is none. */
export async function managerIfAny(options: ConnectOptions = {}): Promise<Engine | null> {
  const { connect } = await import('../../manager/connect.ts');
  return await connect(options);
}

/** Starts one in the background when there is none. */
export async function managerOrNew(options: ConnectOptions = {}): Promise<Engine> {
  const { connectOrStart } = await import('../../manager/connect.ts');
  return await connectOrStart(options);
}

/** Does something with an engine, and leaves it. */
export async function leaving<Result>(
  engine: Engine,
  run: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  try {
    return await run(engine);
  } finally {
    await engine.close();
  }
}
