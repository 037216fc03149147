import * as z from 'zod';
import { size } from './memory.ts';

const settings = z.strictObject({
  target: size.optional().meta({
    description: 'The memory that the balloon leaves to the guest at first. Default: all.',
    examples: ['1G'],
  }),
  stats: z
    .int()
    .min(0, 'seconds, or 0 for never')
    .max(86_400, 'at most a day')
    .optional()
    .meta({
      description: "Seconds between requests for the guest's statistics; 0 for never. Default: 10.",
      examples: [60],
    }),
  'deflate-on-oom': z
    .boolean()
    .optional()
    .meta({
      description: 'The guest takes memory back before it kills programs for lack of it. Default: true.',
      examples: [false],
    }),
  'free-page-reporting': z
    .boolean()
    .optional()
    .meta({
      description: 'The guest also gives its free memory to the host until it needs it.',
      examples: [true],
    }),
});

export type BalloonInput = boolean | z.input<typeof settings>;

/** Whether the guest has a balloon, or its settings. */
export const balloon = z.union([z.boolean(), settings], 'true, false, or settings').default(false);

/** The settings as options of the device. */
export function balloonOptions(given: boolean | z.output<typeof settings>) {
  if (typeof given === 'boolean') return {};
  const { stats, ...others } = given;
  return { ...others, ...(stats !== undefined && { 'guest-stats-polling-interval': stats }) };
}
