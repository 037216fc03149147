import * as z from 'zod';

const settings = z.strictObject({
  'max-bytes': z
    .int()
    .min(1, 'at least 1 byte')
    .max(2 ** 50, 'at most 2^50 bytes')
    .meta({ description: 'The most bytes that the guest gets in each period.', examples: [1024] }),
  period: z
    .int()
    .min(1, 'at least 1 millisecond')
    .max(86_400_000, 'at most a day')
    .optional()
    .meta({ description: 'The period in milliseconds. Default: 65536, as in QEMU.', examples: [1000] }),
});

/** Whether the guest gets random bytes, or how many. */
export const rng = z.union([z.boolean(), settings], 'true, false, or settings').default(true);
