import type { CharOptions } from '../devices/backends/char.ts';
import { isaParallel, LPT_PORTS } from '../devices/legacy/parallel.ts';

/** The most parallel ports of a guest. */
export const MAX_PARALLEL_PORTS = LPT_PORTS.length;

/** The parallel port `index` of a guest, counted from 0, as an entry of `devices`: LPT2 is 1. */
export function parallelPort(index: number, chardev: CharOptions) {
  return { type: isaParallel.type, ...LPT_PORTS[index]!, chardev };
}
