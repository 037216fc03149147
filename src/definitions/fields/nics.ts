import * as z from 'zod';
import { reportRateProblem } from '../../devices/backends/net-limits.ts';
import { switchFields } from '../../devices/virtio/net-switches.ts';
import { transportFields } from '../../devices/virtio/transport-options.ts';
import { network } from './networks.ts';
import { bytesPerSecond } from './rates.ts';
import { asSentences, hostPath, pciPlace, unicastMac } from './text.ts';

const NIC_MODELS = [
  'virtio',
  'e1000',
  'e1000e',
  'i82551',
  'i82557b',
  'i82559er',
  'igb',
  'ne2k_isa',
  'ne2k_pci',
  'pcnet',
  'rtl8139',
  'vmxnet3',
] as const;

const packets = z
  .int()
  .min(1, 'at least 1 packet')
  .max(2 ** 40, 'at most 2^40 packets');

/** Rate limits of a card in one direction. */
const direction = z
  .strictObject({
    bps: bytesPerSecond
      .optional()
      .meta({ description: 'Bytes per second; a bare number is in MiB.', examples: ['50M'] }),
    'bps-burst': bytesPerSecond.optional().meta({
      description: 'Most bytes at once, after an idle period. Default: the amount of a tenth of a second.',
      examples: ['200M'],
    }),
    pps: packets.optional().meta({ description: 'Packets per second.', examples: [10_000] }),
    'pps-burst': packets.optional().meta({
      description: 'Most packets at once, after an idle period. Default: the amount of a tenth of a second.',
      examples: [20_000],
    }),
  })
  .superRefine(reportRateProblem);

const features = asSentences({ ...transportFields(z), ...switchFields(z) });

/** The keys of `virtio`. */
export const nicFeatures = Object.keys(features);

const nic = z.strictObject({
  model: z
    .enum(NIC_MODELS)
    .default('virtio')
    .meta({ description: 'The model of the network card.', examples: ['e1000'] }),
  network: network.prefault('user').meta({
    description: 'What the card is connected to: user, tap, passt, none, or settings with a type.',
    examples: ['tap'],
  }),
  addr: pciPlace,
  mac: unicastMac("The card's MAC address. Default: derived from the VM's name."),
  queues: z
    .int()
    .min(1, 'at least 1 pair of queues')
    .max(16, 'at most 16 pairs of queues')
    .default(1)
    .meta({ description: 'Pairs of queues (virtio), each with its own threads.', examples: [2] }),
  mtu: z
    .int()
    .min(68, 'at least 68 bytes')
    .max(65_535, 'at most 65535 bytes')
    .optional()
    .meta({ description: 'The MTU offered to the driver (virtio), in bytes.', examples: [9000] }),
  link: z
    .enum(['up', 'down'])
    .default('up')
    .meta({ description: 'Whether the card has a link when the VM starts.', examples: ['down'] }),
  vhost: z
    .boolean()
    .optional()
    .meta({
      description:
        "Whether the host's kernel transfers the packets of a TAP interface (vhost-net). Default: if it can.",
      examples: [false],
    }),
  vectors: z
    .int()
    .min(0, 'at least 0 vectors')
    .max(2048, 'at most 2048 vectors')
    .optional()
    .meta({ description: 'MSI-X vectors (virtio). Default: as many as the queues need.', examples: [4] }),
  bootindex: z
    .int()
    .min(0, 'at least 0')
    .max(2 ** 31 - 1, 'at most 2147483647')
    .optional()
    .meta({ description: "Its position in the firmware's boot order.", examples: [1] }),
  romfile: z
    .union([z.literal(''), hostPath], 'an absolute path, or nothing for no ROM')
    .optional()
    .meta({
      description:
        "A file with its expansion ROM; empty for none. Default: iPXE's (package ipxe-qemu) if the firmware " +
        'boots from the network.',
      examples: ['/srv/82540em.rom'],
    }),
  rombar: z
    .boolean()
    .optional()
    .meta({ description: 'Whether the guest sees an expansion ROM. Default: true.', examples: [false] }),
  limits: z
    .strictObject({
      receive: direction.optional().meta({ description: 'What the guest receives.' }),
      transmit: direction.optional().meta({ description: 'What the guest sends.' }),
    })
    .optional()
    .meta({ description: 'Rate limits of the card.' }),
  virtio: z
    .strictObject(features)
    .optional()
    .meta({
      description: `What the device offers to the driver (virtio): ${Object.keys(features).join(', ')}; default: on if the network supports it.`,
      examples: [{ 'guest-tso4': false }],
    }),
});

export type Nic = z.output<typeof nic>;
export type NicInput = z.input<typeof nic>;

export const nics = z.array(nic).max(32, 'at most 32 network cards').default([]);
