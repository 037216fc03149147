import type { Engine } from '../../engine/engine.ts';
import type { VmInfo } from '../../engine/vm-info.ts';

/**
 * Waits until `done` accepts the VM; it gets undefined for a VM that is gone.
 * @returns false on timeout
 */
export function until(
  engine: Pick<Engine, 'vms' | 'subscribe'>,
  name: string,
  done: (vm: VmInfo | undefined) => boolean,
  timeoutMs: number,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const check = () => {
    if (done(engine.vms().find(vm => vm.name === name))) resolve(true);
  };
  const unsubscribe = engine.subscribe(check);
  const timer = Number.isFinite(timeoutMs) ? setTimeout(() => resolve(false), timeoutMs) : undefined;
  check();
  return promise.finally(() => {
    unsubscribe();
    clearTimeout(timer);
  });
}

/** The promise, or an error with `text` after a timeout. */
export async function within<Result>(
  promise: Promise<Result>,
  timeoutMs: number,
  text: string,
): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(text)), timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
