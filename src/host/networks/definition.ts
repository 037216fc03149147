import { parse, stringify } from 'yaml';
import * as z from 'zod';
import type { HostRoot } from '../root.ts';
import { HostReadError } from '../root.ts';
import { addressAt, addressNumber, broadcastAddress, contains, parseSubnet } from './subnet.ts';

/** One file for each network. */
export const NETWORKS_FOLDER = '/etc/vring/networks';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const BRIDGE = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,15}$/;
const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;
const DOMAIN =
  /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

const address = z.ipv4('an IPv4 address');

const reservation = z.strictObject({
  mac: z.string().toLowerCase().regex(MAC, 'a MAC address, such as 52:54:00:12:34:56'),
  address,
  name: z.string().regex(DOMAIN, 'a host name').optional(),
});

const definition = z
  .strictObject({
    /**
     * `nat`: guests use the host's address outside. `routed`: they have their own. `isolated`: they reach the host and
     * each other.
     */
    form: z.enum(['nat', 'routed', 'isolated'], 'nat, routed or isolated').default('nat'),
    bridge: z.string().regex(BRIDGE, 'a name of at most 15 letters, digits, "-", "_" and "."'),
    subnet: z.cidrv4('a network, such as 192.168.150.0/24'),
    dhcp: z.union([z.literal(false), z.strictObject({ start: address, end: address })]),
    dns: z.boolean().default(true),
    domain: z.string().max(253).regex(DOMAIN, 'a domain, such as example.org').optional(),
    reservations: z.array(reservation).max(4096).default([]),
    autostart: z.boolean().default(false),
  })
  .superRefine(({ subnet, dhcp, reservations }, context) => {
    const network = parseSubnet(subnet);
    const wrong = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message, input: subnet });
    if (network.bits < 8 || network.bits > 29) {
      wrong('subnet', 'a network of 8 to 2^24 addresses (/29 to /8)');
      return;
    }
    const host = addressAt(network, 1);
    const isUsable = (text: string) =>
      contains(network, text) && ![addressAt(network, 0), broadcastAddress(network), host].includes(text);
    if (dhcp !== false) {
      if (!isUsable(dhcp.start) || !isUsable(dhcp.end))
        wrong('dhcp', `addresses of ${subnet} other than ${host}`);
      else if (addressNumber(dhcp.start) > addressNumber(dhcp.end))
        wrong('dhcp', 'the first address is above the last');
    }
    const outside = reservations.find(lease => !isUsable(lease.address));
    if (outside !== undefined)
      wrong('reservations', `${outside.address} is not an address for a guest of ${subnet}`);
    for (const key of ['mac', 'address'] as const) {
      const values = reservations.map(lease => lease[key]);
      const twice = values.find((value, index) => values.indexOf(value) !== index);
      if (twice !== undefined) wrong('reservations', `${twice} is there twice`);
    }
  });

/** A vring network: a bridge of the host, with DHCP and DNS. */
export type NetworkDefinition = z.output<typeof definition> & { readonly name: string };

/** Input of `checkNetwork`, which fills in the defaults. */
export type NetworkInput = z.input<typeof definition> & { readonly name: string };

/** @throws an error that says what is wrong */
export function checkNetwork({ name, ...input }: NetworkInput): NetworkDefinition {
  if (!NAME.test(name))
    throw new Error(`${name} cannot be the name of a network: use letters, digits, "-", "_" and "."`);
  const result = definition.safeParse(input);
  if (result.success) return { name, ...result.data };
  const [issue] = result.error.issues;
  throw new Error(`network ${name}: ${issue!.path.join('.')}: ${issue!.message}`);
}

export function definitionPath(name: string): string {
  return `${NETWORKS_FOLDER}/${name}.yaml`;
}

export function definitionText({ name: _, ...definition }: NetworkDefinition): string {
  return stringify(definition);
}

export type Networks = {
  readonly definitions: readonly NetworkDefinition[];
  /** One sentence per file that is not a valid definition. */
  readonly problems: readonly string[];
};

/** The defined networks, by name. */
export function readNetworks(root: HostRoot): Networks {
  const definitions: NetworkDefinition[] = [];
  const problems: string[] = [];
  for (const file of root.list(NETWORKS_FOLDER) ?? []) {
    if (!file.endsWith('.yaml')) continue;
    const name = file.slice(0, -'.yaml'.length);
    try {
      const text = root.text(definitionPath(name)) ?? '';
      definitions.push(checkNetwork({ name, ...(parse(text) as Omit<NetworkInput, 'name'>) }));
    } catch (error) {
      const { message } = error as Error;
      const where = error instanceof HostReadError ? '' : `${definitionPath(name)}: `;
      problems.push(`${where}${message}`);
    }
  }
  return { definitions, problems };
}

/** @throws if no such network is defined; the error names those that are */
export function networkNamed(root: HostRoot, name: string): NetworkDefinition {
  const { definitions, problems } = readNetworks(root);
  const found = definitions.find(each => each.name === name);
  if (found !== undefined) return found;
  const problem = problems.find(text => text.startsWith(`${definitionPath(name)}: `));
  if (problem !== undefined) throw new Error(problem);
  const names = definitions.map(each => each.name).join(', ');
  throw new Error(
    `there is no network ${name}: ${names === '' ? `create it with vring net create ${name}` : `there are ${names}`}`,
  );
}

/** The host's address in the network. */
export function hostAddress({ subnet }: NetworkDefinition): string {
  return addressAt(parseSubnet(subnet), 1);
}
