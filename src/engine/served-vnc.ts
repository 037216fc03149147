import * as z from 'zod';
import { LAYER_NAMES, type Layer } from '../vmm/confinement/layer.ts';

/** What the program of a VNC server tells the manager that has started it, in one line. */
export type ServedVnc = {
  /** Where it listens: `127.0.0.1:5900`, or the path of a socket. */
  readonly address: string;
  /** What confines it. */
  readonly confinement: readonly Layer[];
};

const served: z.ZodType<ServedVnc> = z.strictObject({
  address: z.string().max(300),
  confinement: z
    .array(
      z.strictObject({
        name: z.enum(LAYER_NAMES),
        state: z.enum(['on', 'off', 'unavailable']),
        reason: z.string().max(500).nullable(),
      }),
    )
    .max(LAYER_NAMES.length),
});

/** @returns null for a line that is something else */
export function parseServed(line: string): ServedVnc | null {
  try {
    return served.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
