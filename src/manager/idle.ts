import type { Engine } from '../engine/engine.ts';
import { isAlive } from '../engine/vm-info.ts';
import type { StopReason } from './signals.ts';

/** When a background manager has nothing left to do. */
export type Idleness = {
  /** Resolves with why it stops. */
  readonly reached: Promise<StopReason>;
  /** How many are attached now. */
  clients(count: number): void;
};

/** @param idleMs for which no VM is up and no client attached */
export function whenIdle(engine: Engine, idleMs: number): Idleness {
  const { promise: reached, resolve } = Promise.withResolvers<StopReason>();
  let attached = 0;
  let timer: NodeJS.Timeout | undefined;
  const check = () => {
    const busy = attached > 0 || engine.vms().some(isAlive);
    if (busy) {
      clearTimeout(timer);
      timer = undefined;
    } else {
      timer ??= setTimeout(
        () =>
          resolve({ text: `no VM has run and no terminal was attached for ${Math.round(idleMs / 1000)} s` }),
        idleMs,
      );
    }
  };
  engine.subscribe(event => {
    if (event.kind === 'vm' || event.kind === 'removed') check();
  });
  check();
  return {
    reached,
    clients: count => {
      attached = count;
      check();
    },
  };
}
