import * as z from 'zod';
import { pciPlace, unicastMac } from './text.ts';

const NIC_MODELS = ['virtio', 'e1000', 'e1000e', 'igb', 'rtl8139', 'vmxnet3'] as const;

const INTERFACE = 'the name of a network interface, such as tap0';

/** What Linux accepts as the name of a network interface (15 bytes). */
const hostInterface = z
  .string(INTERFACE)
  .regex(/^(?!\.{1,2}$)[^\s/:\u0000-\u001f\u007f-\uffff]{1,15}$/, INTERFACE);

const port = z.int().min(1, 'a port from 1 to 65535').max(65_535, 'a port from 1 to 65535');

const forward = z.strictObject({
  protocol: z
    .enum(['tcp', 'udp'])
    .default('tcp')
    .meta({ description: 'tcp or udp.', examples: ['udp'] }),
  address: z
    .union([z.ipv4('an IP address'), z.ipv6('an IP address')], 'an IP address')
    .default('127.0.0.1')
    .meta({ description: 'The host address to listen on.', examples: ['0.0.0.0'] }),
  host: port.meta({ description: 'The port on the host.', examples: [2222] }),
  guest: port.meta({ description: 'The port in the guest.', examples: [22] }),
});

const network = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('user').meta({ description: "NAT through the host's connections, without privileges." }),
    forward: z
      .array(forward)
      .max(64, 'at most 64 ports')
      .default([])
      .meta({ description: 'Host ports to forward to the guest.' }),
  }),
  z.strictObject({
    type: z.literal('tap').meta({ description: 'A TAP interface on the host.' }),
    interface: hostInterface
      .optional()
      .meta({ description: 'The TAP interface; one is created if absent.', examples: ['tap0'] }),
  }),
  z.strictObject({
    type: z.literal('bridge').meta({ description: 'A new TAP interface, attached to a bridge.' }),
    bridge: hostInterface.meta({ description: 'The bridge on the host.', examples: ['br0'] }),
  }),
  z.strictObject({
    type: z.literal('macvtap').meta({ description: 'Directly on a host interface.' }),
    interface: hostInterface.meta({ description: 'The interface on the host.', examples: ['eth0'] }),
  }),
]);

export type NicNetwork = z.output<typeof network>;
export type NicForward = z.output<typeof forward>;

const nic = z.strictObject({
  model: z
    .enum(NIC_MODELS)
    .default('virtio')
    .meta({ description: 'The model of the network card.', examples: ['e1000'] }),
  network: z
    .union(
      [z.enum(['user', 'tap']).transform(type => network.parse({ type })), network],
      'user, tap, or settings with a type',
    )
    .prefault('user')
    .meta({
      description: 'What the card is connected to: user, tap, or settings with a type.',
      examples: ['tap'],
    }),
  addr: pciPlace,
  mac: unicastMac("The card's MAC address; derived from the VM's name if absent."),
});

export type Nic = z.output<typeof nic>;
export type NicInput = z.input<typeof nic>;

export const nics = z.array(nic).max(32, 'at most 32 network cards').default([]);
