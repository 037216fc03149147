import * as z from 'zod';
import { LAYER_NAMES, type Layer } from '../vmm/confinement/layer.ts';

/** The one-line report of a VNC server's program to the manager that started it. */
export type ServedVnc = {
  /** Where it listens: `127.0.0.1:5900`, or the path of a socket. */
  readonly address: string;
  /** Its confinement. */
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

/** @returns null for any other line */
export function parseServed(line: string): ServedVnc | null {
  try {
    return served.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
