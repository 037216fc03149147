import * as z from 'zod';
import { formatAddress, parseAddress } from '../../host/pci/address.ts';
import { shown } from '../words.ts';
import { pciPlace } from './text.ts';

const EXPECTED = 'a PCI address, such as 0000:02:00.0 or 02:00.0';

const hostAddress = z.string(EXPECTED).transform((text, context) => {
  const address = parseAddress(/^[0-9a-f]{2}:/i.test(text) ? `0000:${text}` : text);
  if (address !== null) return formatAddress(address);
  context.addIssue({
    code: 'custom',
    message: `expected ${EXPECTED}, not ${shown(text)}`,
    input: text,
  });
  return z.NEVER;
});

const device = z.strictObject({
  host: hostAddress.meta({ description: "The host's PCI function.", examples: ['0000:02:00.0'] }),
  addr: pciPlace,
  id: z
    .string()
    .regex(/^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$/, 'vendor:device in hexadecimal, such as 8086:1521')
    .transform(id => id.toLowerCase())
    .optional()
    .meta({
      description:
        'The expected vendor and device ID; the VM does not start if another device is at the address.',
      examples: ['8086:1521'],
    }),
});

export const passthrough = z.array(device).max(32, 'at most 32 devices').default([]);
