import * as z from 'zod';

/** USB keyboards and pointers. */
export const INPUTS = ['keyboard', 'mouse', 'tablet'] as const;
export type Input = (typeof INPUTS)[number];

export const inputs = z.array(z.enum(INPUTS)).max(8, 'at most 8 input devices').default([]);
