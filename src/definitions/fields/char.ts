import * as z from 'zod';
import { charSchema } from '../../devices/backends/char-fields.ts';

import { MAX_PARALLEL_PORTS } from '../parallel-ports.ts';

const MAX_SERIAL_PORTS = 4;
/** Ports of a virtio serial controller besides its console. */
const MAX_CHANNELS = 30;

/** YAML reads `null` as nothing. */
const NAMES = new Map<unknown, string>([
  ['stdio', 'console'],
  [null, 'null'],
]);

/** What a serial port or channel is connected to. Start scripts for QEMU call the console `stdio`. */
const end = z.preprocess(value => NAMES.get(value) ?? value, charSchema(z));

export const serial = z.array(end).max(MAX_SERIAL_PORTS, 'a PC has COM1 to COM4').default([]);

export const parallel = z.array(end).max(MAX_PARALLEL_PORTS, 'a guest has at most LPT1 and LPT2').default([]);

const channel = z.strictObject({
  name: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'a port name has 1 to 200 printable ASCII characters, and no blanks')
    .meta({
      description: 'Its name in the guest, in /dev/virtio-ports.',
      examples: ['org.example.backup.0'],
    }),
  chardev: end.meta({
    description: 'What it is connected to on the host, as for `serial`.',
    examples: [{ type: 'unix', path: '/run/backup.sock' }],
  }),
});

export type Channel = z.output<typeof channel>;
export type ChannelInput = z.input<typeof channel>;

export const channels = z.array(channel).max(MAX_CHANNELS, `at most ${MAX_CHANNELS} channels`).default([]);

/** The port on which the guest agent listens. */
export const AGENT_PORT = 'org.qemu.guest_agent.0';
