import * as z from 'zod';
import { reportLimitsProblem } from '../../devices/backends/disk.ts';
import { bytesPerSecond as bytes } from './rates.ts';

const requests = z
  .int()
  .min(1, 'at least 1 request')
  .max(2 ** 50, 'at most 2^50 requests');

/** Rate limits of a disk. */
export const diskLimits = z
  .strictObject({
    iops: requests.optional().meta({ description: 'Requests per second.', examples: [500] }),
    'iops-burst': requests.optional().meta({
      description: 'Most requests at once, after an idle period. Default: the amount of a tenth of a second.',
      examples: [2000],
    }),
    bps: bytes.optional().meta({
      description: 'Bytes per second, read or written; a bare number is in MiB.',
      examples: ['50M'],
    }),
    'bps-burst': bytes.optional().meta({
      description: 'Most bytes at once, after an idle period. Default: the amount of a tenth of a second.',
      examples: ['200M'],
    }),
  })
  .superRefine(reportLimitsProblem);
