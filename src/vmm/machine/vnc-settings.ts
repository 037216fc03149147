import * as z from 'zod';
import { LAYOUT_NAMES } from '../../devices/input/layout-names.ts';

/** Where a VM's VNC server listens, and what it requires. */
export const vncSettings = z.strictObject({
  /** `auto`, `unix:PATH`, `[HOST]:DISPLAY` or `HOST::PORT`. */
  listen: z.string().min(1).max(256),
  /** A file with the password in its first line. */
  passwordFile: z.string().optional(),
  /** Files with a certificate and its key. */
  tlsCert: z.string().optional(),
  tlsKey: z.string().optional(),
  layout: z.enum(LAYOUT_NAMES).optional(),
  viewOnly: z.boolean().optional(),
});

export type VncSettings = z.output<typeof vncSettings>;
