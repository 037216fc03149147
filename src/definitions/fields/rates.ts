import * as z from 'zod';
import { bytesOf, SIZE } from '../../text/size.ts';

const RATE = 'a size such as 50M, for each second';

/** Bytes per second, as a size; a bare number is in MiB. */
export const bytesPerSecond = z
  .union([z.string().regex(SIZE, RATE), z.int().positive(RATE)], RATE)
  .transform((value, context) => {
    const size = bytesOf(String(value));
    if (size !== null && size <= 2 ** 50) return size;
    context.addIssue({ code: 'custom', message: `expected ${RATE}, not ${value}`, input: value });
    return z.NEVER;
  });
