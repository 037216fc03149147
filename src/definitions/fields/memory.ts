import * as z from 'zod';
import { bytesOf, SIZE } from '../../text/size.ts';

const MiB = 2 ** 20;
const DEFAULT = '256M';

export const size = z
  .union(
    [z.string().regex(SIZE, 'a size such as 512M or 2G'), z.int().positive('a size such as 512M or 2G')],
    'a size such as 512M or 2G',
  )
  .transform((value, context) => {
    const bytes = bytesOf(String(value));
    if (bytes !== null && bytes >= 2 * MiB && bytes % MiB === 0) return bytes;
    context.addIssue({
      code: 'custom',
      message: `expected a whole number of MiB, at least 2M, not ${value}`,
      input: value,
    });
    return z.NEVER;
  });

const settings = z
  .strictObject({
    size: size.prefault(DEFAULT).meta({
      description: 'Guest RAM: a size such as 512M or 2G; a bare number is in MiB.',
      examples: ['2G'],
    }),
    hugepages: z
      .enum(['2M', '1G'])
      .optional()
      .meta({ description: "Back guest RAM with the host's huge pages of this size.", examples: ['2M'] }),
    mergeable: z
      .boolean()
      .default(false)
      .meta({
        description: 'Let the host merge identical pages of several guests (KSM).',
        examples: [true],
      }),
  })
  .refine(({ hugepages, mergeable }) => !(hugepages && mergeable), {
    path: ['mergeable'],
    message: 'the host cannot merge huge pages: remove memory.mergeable or memory.hugepages',
  });

export type Memory = z.output<typeof settings>;

/** `512M`, or the settings. */
export const memory = z
  .union(
    [size.transform(bytes => settings.parse({ size: bytes / MiB })), settings],
    'a size such as 512M, or settings',
  )
  .prefault(DEFAULT);
