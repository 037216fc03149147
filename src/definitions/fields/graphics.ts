import * as z from 'zod';
import { LAYOUT_NAMES } from '../../devices/input/layout-names.ts';
import { hostPath } from './text.ts';

/** How to see the screen from outside vring. */
export const graphics = z.strictObject({
  type: z
    .literal('vnc')
    .meta({ description: 'A VNC server, which runs while the VM does.', examples: ['vnc'] }),
  listen: z
    .string()
    .regex(
      /^(auto|unix:.+|(\[[^\]]*\]|[^:[\]]*):(:?)\d{1,5})$/,
      'expected auto, unix:PATH, [HOST]:DISPLAY such as :0, or HOST::PORT',
    )
    .default('auto')
    .meta({
      description:
        'Where: `auto` (127.0.0.1, the first free port of 5900-5999; `vring vm events` says which), ' +
        '`unix:PATH`, `[HOST]:DISPLAY` (port 5900 and up) or `HOST::PORT`. Beyond loopback addresses it needs ' +
        'a password and TLS.',
      examples: ['127.0.0.1:1'],
    }),
  'password-file': hostPath.optional().meta({
    description: 'A file whose first line is the password for clients; only its first 8 characters count.',
    examples: ['/etc/vring/web.vnc'],
  }),
  'tls-cert': hostPath
    .optional()
    .meta({ description: 'A certificate (PEM), for TLS.', examples: ['/etc/vring/vnc-cert.pem'] }),
  'tls-key': hostPath
    .optional()
    .meta({ description: 'Its key (PEM).', examples: ['/etc/vring/vnc-key.pem'] }),
  layout: z
    .enum(LAYOUT_NAMES)
    .optional()
    .meta({
      description: "The layout of the guest's keyboard, for clients that send characters. Default: us.",
      examples: ['de'],
    }),
  'view-only': z
    .boolean()
    .optional()
    .meta({ description: 'Ignore input from clients.', examples: [true] }),
});
