import type { Engine } from '../engine/engine.ts';
import { isAlive } from '../engine/vm-info.ts';
import { followVms } from './follow-vms.ts';
import type { StopReason } from './signals.ts';

/** Detects when a background manager is no longer needed. */
export type Idleness = {
  /** Resolves with the reason to stop. */
  readonly reached: Promise<StopReason>;
  /** Sets the number of attached clients. */
  clients(count: number): void;
};

/** @param idleMs without running VMs and attached clients */
export function whenIdle(engine: Engine, idleMs: number): Idleness {
  const { promise: reached, resolve } = Promise.withResolvers<StopReason>();
  let attached = 0;
  let timer: NodeJS.Timeout | undefined;
  const check = () => {
    const busy = attached > 0 || up.vms.size > 0;
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
  const up = followVms(engine, isAlive, check);
  check();
  return {
    reached,
    clients: count => {
      attached = count;
      check();
    },
  };
}
