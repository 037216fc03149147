import type * as z from 'zod';
import type { Zod } from '../zod.ts';
import { eachPortOnce } from './each-port-once.ts';

/**
 * A folder, socket or program of the host, by its absolute path: the process that uses it has its own working
 * directory.
 */
const FULL_PATH = /^\/[^\u0000]*$/;
const DOMAIN =
  /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;
const MAX_FORWARDS = 256;

/** A port of the host whose connections are forwarded to the guest. */
function portForward(z: Zod) {
  return hostForward(z).options[0];
}

/** The options of passt(1). */
export function passtArm(z: Zod) {
  return z.strictObject({
    type: z.literal('passt'),
    interface: z
      .string()
      .regex(/^[^\s/]{1,15}$/, 'the name of a network interface')
      .optional()
      .describe('whose addresses and routes the guest gets (default: that of the default route)'),
    address: z
      .union([z.ipv4(), z.ipv6()], 'an IP address')
      .optional()
      .describe("the guest's address (default: the interface's)"),
    hostfwd: z
      .array(portForward(z))
      .max(MAX_FORWARDS)
      .superRefine(eachPortOnce)
      .optional()
      .describe('ports of the host for the guest'),
  });
}

/** A port of the host, or a socket, whose connections are forwarded to the guest. */
export function hostForward(z: Zod) {
  const port = z.int().min(1, 'a port from 1 to 65535').max(65_535, 'a port from 1 to 65535');
  const guest = {
    guest: port.describe('the port in the guest'),
    'guest-address': z
      .union([z.ipv4(), z.ipv6()], 'an IP address')
      .optional()
      .describe('its address (default: the first one that DHCP assigns)'),
  };
  return z.union([
    z.strictObject({
      protocol: z.enum(['tcp', 'udp']).default('tcp').describe('tcp or udp'),
      address: z
        .union([z.ipv4(), z.ipv6()], 'an IP address')
        .default('127.0.0.1')
        .describe('the address of the host to listen on'),
      host: port.describe('the port on the host'),
      ...guest,
    }),
    z.strictObject({
      protocol: z.literal('unix').describe('a Unix socket'),
      path: z.string().regex(FULL_PATH, 'the full path of a socket').describe('its path on the host'),
      ...guest,
    }),
  ]);
}

/** An address of the guest's network whose connections are forwarded to the host. */
function guestForward(z: Zod) {
  const port = z.int().min(1, 'a port from 1 to 65535').max(65_535, 'a port from 1 to 65535');
  return z.strictObject({
    address: z.ipv4('an IPv4 address').optional().describe('an address of the network (default: its .2.4)'),
    port: port.describe('the port that the guest connects to'),
    to: z
      .union([
        z.strictObject({
          address: z.union([z.ipv4(), z.ipv6()], 'an IP address').default('127.0.0.1'),
          port,
        }),
        z.strictObject({ path: z.string().regex(FULL_PATH, 'the full path of a socket') }),
        z.strictObject({
          command: z
            .array(z.string().regex(/^[^\u0000]*$/, 'text'))
            .min(1)
            .max(64),
        }),
      ])
      .describe('an address, a Unix socket, or a command, one for each connection'),
  });
}

/** The options of a user-mode network, as QEMU's `-netdev user` has them. */
export function userArm(z: Zod) {
  const ipv4 = z.ipv4('an IPv4 address');
  const ipv6 = z.ipv6('an IPv6 address');
  const word = z
    .string()
    .min(1, 'it is empty')
    .regex(/^[^\u0000]*$/, 'it has a NUL')
    .max(255);
  const domain = z.string().max(253).regex(DOMAIN, 'a domain, such as example.org');
  return z.strictObject({
    type: z.literal('user'),
    net: z.cidrv4('a network, such as 10.0.2.0/24').optional().describe("the guest's network (10.0.2.0/24)"),
    host: ipv4.optional().describe('the address of the host in it (.2)'),
    dhcpstart: ipv4.optional().describe('the first of 16 addresses that DHCP assigns (.15)'),
    dns: ipv4.optional().describe('the address of the name server (.3)'),
    ipv4: z.boolean().default(true).describe('whether there is IPv4'),
    ipv6: z.boolean().default(true).describe('whether there is IPv6'),
    'ipv6-net': z.cidrv6('a network, such as fec0::/64').optional().describe('its prefix (fec0::/64)'),
    'ipv6-host': ipv6.optional().describe('the IPv6 address of the host (::2)'),
    'ipv6-dns': ipv6.optional().describe('the IPv6 address of the name server (::3)'),
    hostname: word.optional().describe('the host name that DHCP sends to the guest'),
    domainname: domain.optional().describe('the domain that DHCP sends to the guest'),
    dnssearch: z.array(domain).max(32).optional().describe('search domains that DHCP sends to the guest'),
    restrict: z.boolean().default(false).describe('only forwarded ports work'),
    tftp: z
      .string()
      .regex(FULL_PATH, 'the full path of a folder')
      .optional()
      .describe('a folder that TFTP serves, read-only'),
    'tftp-server-name': word.optional().describe('the TFTP server name that DHCP sends'),
    bootfile: word.optional().describe('the boot file that DHCP sends'),
    hostfwd: z
      .array(hostForward(z))
      .max(MAX_FORWARDS)
      .superRefine(eachPortOnce)
      .optional()
      .describe('ports of the host for the guest'),
    guestfwd: z
      .array(guestForward(z))
      .max(MAX_FORWARDS)
      .optional()
      .describe('addresses in the network that are forwarded to the host'),
  });
}

export type UserOptions = z.output<ReturnType<typeof userArm>>;
export type HostForward = z.output<ReturnType<typeof hostForward>>;
export type GuestForward = z.output<ReturnType<typeof guestForward>>;
