import { isIPv4 } from 'node:net';

/** An IPv4 network, `192.168.200.0/24`. */
export type Subnet = {
  /** The first address, as a number. */
  readonly base: number;
  readonly bits: number;
};

export function addressNumber(text: string): number {
  return text.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);
}

export function addressText(number: number): string {
  return [24, 16, 8, 0].map(shift => (number >>> shift) & 255).join('.');
}

/** Whether a text is an IPv4 address with a prefix length. */
export function isSubnet(text: string): boolean {
  const [, address = '', bits = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  return isIPv4(address) && Number(bits) <= 32;
}

/** The network of an address with a prefix length. */
export function parseSubnet(text: string): Subnet {
  const [address = '', length = ''] = text.split('/');
  const bits = Number(length);
  const number = addressNumber(address);
  return { base: number - (number % size(bits)), bits };
}

export function subnetText({ base, bits }: Subnet): string {
  return `${addressText(base)}/${bits}`;
}

export function netmask({ bits }: Subnet): string {
  return addressText(2 ** 32 - size(bits));
}

/** Its `index`-th address. */
export function addressAt({ base }: Subnet, index: number): string {
  return addressText(base + index);
}

export function broadcastAddress({ base, bits }: Subnet): string {
  return addressText(base + size(bits) - 1);
}

/** All addresses except the network's, the host's and the broadcast address. */
export function guestRange({ base, bits }: Subnet): { start: string; end: string } {
  return { start: addressText(base + 2), end: addressText(base + size(bits) - 2) };
}

export function contains({ base, bits }: Subnet, address: string): boolean {
  const number = addressNumber(address);
  return number >= base && number < base + size(bits);
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + size(b.bits) && b.base < a.base + size(a.bits);
}

/** The first network of 256 addresses that overlaps none of `taken`; libvirt starts at 192.168.122.0. */
export function freeSubnet(taken: readonly Subnet[]): Subnet | null {
  const candidates = [
    ...Array.from({ length: 100 }, (_, index) => `192.168.${150 + index}.0/24`),
    ...Array.from({ length: 256 }, (_, index) => `10.77.${index}.0/24`),
  ].map(parseSubnet);
  return candidates.find(candidate => !taken.some(each => overlaps(candidate, each))) ?? null;
}

function size(bits: number): number {
  return 2 ** (32 - bits);
}
