import type * as z from 'zod';
import type { Zod } from '../zod.ts';
import type { CharOptions } from './char.ts';

const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/;

/** The schema of a character device's back end: the name of a type that needs nothing else, or settings. */
export function charSchema(z: Zod) {
  const text = z.string().min(1, 'the path is empty');
  const path = text.describe('On the host.');
  const logfile = text.optional().describe('A file to which all output is appended, too.');
  const server = z.boolean().default(true).describe('Whether to listen, or to connect once.');
  const settings = z.discriminatedUnion('type', [
    z.strictObject({ type: z.enum(['console', 'null', 'pty', 'agent']).describe('What it is.'), logfile }),
    z.strictObject({
      type: z.literal('unix').describe('What it is.'),
      path,
      server,
      mode: z
        .string()
        .regex(/^0?[0-7]{3}$/, 'permissions in octal and in quotes, such as "660"')
        .optional()
        .describe('Permissions of the socket, in octal.'),
      logfile,
    }),
    z
      .strictObject({
        type: z.literal('tcp').describe('What it is.'),
        host: z.string().min(1, 'the host is empty').default('127.0.0.1').describe('An address.'),
        port: z
          .int()
          .min(1, 'a port from 1 to 65535')
          .max(65_535, 'a port from 1 to 65535')
          .describe('A port number.'),
        server,
        anywhere: z.boolean().default(false).describe('Allow addresses other than loopback ones.'),
        logfile,
      })
      .refine(({ host, anywhere, server }) => anywhere || !server || LOOPBACK.test(host), {
        path: ['host'],
        message:
          'whoever can reach this address could use the device: listen on 127.0.0.1, or set anywhere: true',
      }),
    z.strictObject({
      type: z.literal('file').describe('What it is.'),
      path,
      append: z.boolean().default(true).describe('Append to the file, or truncate it.'),
    }),
  ]);
  const names = z.enum(['console', 'null', 'pty', 'agent']).transform((type): CharOptions => ({ type }));
  return z.union([names, settings], 'console, null, pty, or settings with a type') as unknown as z.ZodType<
    CharOptions,
    CharInput
  >;
}

/** A back end as written in configurations. */
export type CharInput =
  | CharOptions['type']
  | { readonly type: CharOptions['type']; readonly [key: string]: unknown };

/** The option that selects a device's back end. */
export function charFields(z: Zod, byDefault: 'console' | 'null') {
  return {
    chardev: charSchema(z)
      .prefault(byDefault)
      .describe(
        `what it is connected to: console, null, pty, or settings of type unix, tcp or file (default: ${byDefault})`,
      ),
  };
}

/** A back end as screens show it: `Unix socket /run/web.sock`. */
export function charText(options: CharOptions): string {
  switch (options.type) {
    case 'console':
    case 'null':
    case 'pty':
    case 'agent':
      return options.type;
    case 'unix':
      return `Unix socket ${options.path}${options.server ? '' : ' (client)'}`;
    case 'tcp':
      return `TCP ${options.host}:${options.port}${options.server ? '' : ' (client)'}`;
    case 'file':
      return `file ${options.path}`;
  }
}
