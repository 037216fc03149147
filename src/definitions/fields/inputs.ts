import * as z from 'zod';

/** Those on USB, which have no prefix. */
export const USB_INPUTS = ['keyboard', 'mouse', 'tablet'] as const;
const INPUTS = [...USB_INPUTS, 'virtio-keyboard', 'virtio-mouse', 'virtio-tablet'] as const;
export type Input = (typeof INPUTS)[number];

export const inputs = z.array(z.enum(INPUTS)).max(8, 'at most 8 input devices').default([]);
