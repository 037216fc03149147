import * as z from 'zod';
import { eachPortOnce } from '../../devices/backends/each-port-once.ts';
import { hostPath } from './text.ts';

const INTERFACE = 'the name of a network interface, such as tap0';

/** What Linux accepts as the name of a network interface (15 bytes). */
const hostInterface = z
  .string(INTERFACE)
  .regex(/^(?!\.{1,2}$)[^\s/:\u0000-\u001f\u007f-\uffff]{1,15}$/, INTERFACE);

const port = z.int().min(1, 'a port from 1 to 65535').max(65_535, 'a port from 1 to 65535');

const ipv4 = (description: string, example: string) =>
  z
    .ipv4(`an IPv4 address, such as ${example}`)
    .optional()
    .meta({ description, examples: [example] });

const ipv6 = (description: string, example: string) =>
  z
    .ipv6(`an IPv6 address, such as ${example}`)
    .optional()
    .meta({ description, examples: [example] });

const ipAddress = z.union([z.ipv4('an IP address'), z.ipv6('an IP address')], 'an IP address');

const NAME = 'a name of letters, digits, "-", "_" and "."';

const hostname = z
  .string(NAME)
  .regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/, NAME)
  .optional();

const forward = z.strictObject({
  protocol: z
    .enum(['tcp', 'udp'])
    .default('tcp')
    .meta({ description: 'tcp or udp.', examples: ['udp'] }),
  address: ipAddress
    .default('127.0.0.1')
    .meta({ description: 'The host address to listen on.', examples: ['0.0.0.0'] }),
  host: port.meta({ description: 'The port on the host.', examples: [2222] }),
  guest: port.meta({ description: 'The port in the guest.', examples: [22] }),
  'guest-address': ipv4("The guest's address. Default: the one that DHCP assigns.", '10.0.2.15'),
});

const forwards = z.array(forward).max(64, 'at most 64 ports').superRefine(eachPortOnce).default([]);

const guestForward = z
  .strictObject({
    address: z.ipv4('an IPv4 address').meta({
      description: 'An unused address in the network.',
      examples: ['10.0.2.100'],
    }),
    port: port.meta({ description: 'The port that the guest connects to.', examples: [80] }),
    to: z
      .strictObject({
        address: ipAddress.default('127.0.0.1').meta({
          description: 'An address that the host reaches.',
          examples: ['192.0.2.7'],
        }),
        port: port.meta({ description: 'The port there.', examples: [8080] }),
      })
      .optional()
      .meta({ description: 'Where the connection goes.' }),
    command: z
      .array(z.string('text').min(1, 'text'))
      .min(1, 'the words of a command')
      .max(64, 'at most 64 words')
      .optional()
      .meta({
        description:
          'A program to run for each connection instead, with the connection as its standard input and output.',
        examples: [['/usr/bin/nc', '-U', '/run/log.sock']],
      }),
  })
  .refine(({ to, command }) => (to === undefined) !== (command === undefined), {
    error: 'a guest-forward has either `to` or `command`',
    path: ['to'],
  });

const SUBNET = 'a network such as 10.0.2.0/24';

const userNetwork = z.strictObject({
  type: z.literal('user').meta({ description: "NAT through the host's connections, without privileges." }),
  forward: forwards.meta({ description: 'Host ports to forward to the guest.' }),
  'guest-forward': z
    .array(guestForward)
    .max(64, 'at most 64 ports')
    .default([])
    .meta({ description: 'Ports in the network to forward to the host, or to a program.' }),
  net: z
    .cidrv4(SUBNET)
    .optional()
    .meta({ description: 'Its IPv4 network. Default: 10.0.2.0/24.', examples: ['192.168.76.0/24'] }),
  host: ipv4("The host's address in it. Default: the second of the network.", '10.0.2.2'),
  'dhcp-start': ipv4('The first address that DHCP assigns. Default: the fifteenth.', '10.0.2.15'),
  dns: ipv4('The address of its name server. Default: the third.', '10.0.2.3'),
  hostname: hostname.meta({ description: 'The host name that DHCP sends to the guest.', examples: ['web'] }),
  domain: hostname.meta({
    description: 'The domain that DHCP sends to the guest.',
    examples: ['example.org'],
  }),
  search: z
    .array(z.string(NAME).min(1, NAME).max(255, NAME))
    .max(16, 'at most 16 domains')
    .default([])
    .meta({ description: 'Search domains that DHCP sends to the guest.', examples: [['example.org']] }),
  restrict: z
    .boolean()
    .default(false)
    .meta({ description: 'Isolate the guest: only forwarded ports work.', examples: [true] }),
  tftp: hostPath.optional().meta({
    description: 'A host folder that its TFTP server offers, read-only.',
    examples: ['/srv/tftp'],
  }),
  bootfile: z
    .string()
    .min(1, 'the name of a file')
    .max(127, 'at most 127 characters')
    .optional()
    .meta({ description: 'The file that DHCP tells the guest to boot.', examples: ['/pxelinux.0'] }),
  ipv4: z
    .boolean()
    .default(true)
    .meta({ description: 'Whether it has IPv4.', examples: [false] }),
  ipv6: z
    .boolean()
    .default(true)
    .meta({ description: 'Whether it has IPv6.', examples: [false] }),
  'ipv6-net': z
    .cidrv6('a network such as fec0::/64')
    .optional()
    .meta({ description: 'Its IPv6 network. Default: fec0::/64.', examples: ['fd00:1::/64'] }),
  'ipv6-host': ipv6("The host's IPv6 address in it.", 'fec0::2'),
  'ipv6-dns': ipv6('The IPv6 address of its name server.', 'fec0::3'),
});

const SCRIPT = 'with the name of the interface as its argument, like QEMU';

const tapNetwork = z.strictObject({
  type: z.literal('tap').meta({ description: 'A TAP interface on the host.' }),
  interface: hostInterface
    .optional()
    .meta({ description: 'The TAP interface. Default: a new one.', examples: ['tap0'] }),
  bridge: hostInterface.optional().meta({ description: 'The bridge to attach it to.', examples: ['br0'] }),
  script: hostPath.optional().meta({
    description: `A host program that sets the interface up, run ${SCRIPT}.`,
    examples: ['/etc/vring/tap-up'],
  }),
  downscript: hostPath.optional().meta({
    description: `A host program to run after the VM has ended, ${SCRIPT}.`,
    examples: ['/etc/vring/tap-down'],
  }),
});

const NETWORK_NAME = 'the name of a network, as vring net list shows it';

const passtNetwork = z.strictObject({
  type: z
    .literal('passt')
    .meta({ description: "The host's own addresses and routes, without NAT or privileges, by passt." }),
  interface: hostInterface.optional().meta({
    description:
      'The interface whose addresses and routes the guest gets. Default: that of the default route.',
    examples: ['eth0'],
  }),
  address: ipAddress
    .optional()
    .meta({ description: "The guest's address. Default: the interface's.", examples: ['192.0.2.7'] }),
  forward: forwards.meta({ description: 'Host ports to forward to the guest.' }),
});

/** What may be connected to a hub: anything but another hub. */
const simpleNetworks = [
  userNetwork,
  tapNetwork,
  z.strictObject({
    type: z.literal('bridge').meta({ description: 'A new TAP interface, attached to a bridge.' }),
    bridge: hostInterface.meta({ description: 'The bridge on the host.', examples: ['br0'] }),
  }),
  z.strictObject({
    type: z.literal('macvtap').meta({ description: 'Directly on a host interface.' }),
    interface: hostInterface.meta({ description: 'The interface on the host.', examples: ['eth0'] }),
    mode: z
      .enum(['bridge', 'vepa', 'private', 'passthru'])
      .default('bridge')
      .meta({
        description:
          'Which guests on the same interface it reaches: all (bridge), all by way of the switch (vepa), or ' +
          'none (private). passthru gives it the whole interface.',
        examples: ['vepa'],
      }),
  }),
  z.strictObject({
    type: z
      .literal('network')
      .meta({ description: 'A network of vring, with NAT, DHCP and DNS (`vring net create`).' }),
    name: z
      .string(NETWORK_NAME)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, NETWORK_NAME)
      .meta({ description: "The network's name.", examples: ['default'] }),
  }),
  passtNetwork,
  z.strictObject({ type: z.literal('none').meta({ description: 'Nothing: the card has no link.' }) }),
] as const;

/** Networks that are written as their type alone. */
const SHORT = ['user', 'tap', 'passt', 'none'] as const;

const simpleNetwork = z.discriminatedUnion('type', simpleNetworks);

const byType = z.enum(SHORT).transform(type => simpleNetwork.parse({ type }));

const hubNetwork = z.strictObject({
  type: z.literal('hub').meta({
    description: 'A hub, which connects several cards of the VM with each other and with networks.',
  }),
  hub: z
    .int()
    .min(0, 'a number from 0 to 255')
    .max(255, 'a number from 0 to 255')
    .meta({ description: 'Its number: cards that name the same one share it.', examples: [0] }),
  networks: z
    .array(z.union([byType, simpleNetwork], 'user, tap, or settings with a type'))
    .max(16, 'at most 16 networks')
    .default([])
    .meta({
      description: 'The networks that are connected to it; listed with one of its cards.',
      examples: [['user']],
    }),
});

/** What a network card is connected to. */
export const network = z.union(
  [byType, z.discriminatedUnion('type', [...simpleNetworks, hubNetwork])],
  'user, tap, passt, none, or settings with a type',
);

export type NicNetwork = z.output<typeof network>;
export type NicNetworkInput = z.input<typeof network>;
export type NicForward = z.output<typeof forward>;
export type NicGuestForward = z.output<typeof guestForward>;
