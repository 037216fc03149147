import * as z from 'zod';

/** One line of text, without characters that move the cursor. */
export const line = (most: number) =>
  z
    .string()
    .max(most, `at most ${most} characters`)
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/, 'one line without control characters');

const PATH = 'an absolute path, such as /var/lib/vring/disk.img';

/**
 * A host file. The process that opens it may run in a different folder from the one where the definition was written,
 * so a relative path could mean another file.
 */
export const hostPath = z
  .string(PATH)
  .max(4095, 'at most 4095 characters')
  .regex(/^\/[^\u0000-\u001f\u007f]*$/, PATH);

const PLACE = 'an address in quotes, such as "05.0"';

/** Where a device is on its bus: a PCI slot and function, a SCSI target and unit, or a number. */
export const place = z.string(PLACE).regex(/^((0x)?[0-9a-f]{1,4}(\.[0-7])?|\d{1,3}:\d{1,5})$/i, PLACE);

export const pciPlace = place.optional().meta({
  description:
    'Its PCI slot in the guest, in hexadecimal, with the function if not 0. Default: the first free one.',
  examples: ['05.0'],
});

export const unicastMac = (description: string) =>
  z
    .string()
    .regex(
      /^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$/,
      'a unicast MAC address, such as 52:54:00:12:34:56',
    )
    .transform(mac => mac.toLowerCase())
    .optional()
    .meta({ description, examples: ['52:54:00:12:34:56'] });

/** The options of a device, described as a definition's keys are. */
export function asSentences<Fields extends Readonly<Record<string, z.ZodType>>>(fields: Fields): Fields {
  const described = Object.entries(fields).map(([key, field]) => {
    const { description = '', ...meta } = field.meta() ?? {};
    const sentence = `${description.charAt(0).toUpperCase()}${description.slice(1)}.`;
    return [key, field.meta({ ...meta, description: sentence })];
  });
  return Object.fromEntries(described);
}
