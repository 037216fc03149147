import { type DeviceConfig, deviceTable } from '../devices/registry.ts';
import { macAddress } from '../engine/networks/mac-address.ts';
import type { Nic } from './fields/nics.ts';
import type { Passthrough } from './fields/passthrough.ts';

/** A network card's address in a definition. */
export type CardAddress = {
  /** The key that sets it, or that of the card it is derived for: `nics[0].mac`. */
  readonly path: readonly [list: string, index: number, key: 'mac'];
  /** Lower case: `52:54:00:12:34:56`. */
  readonly mac: string;
};

type Cards = {
  /** The VM's name. */
  readonly name: string;
  readonly nics: readonly Nic[];
  readonly passthrough: readonly Passthrough[];
  readonly devices: readonly DeviceConfig[];
};

/** The addresses of a definition's cards, those of passed-through functions among them. */
export function cardAddresses({ name, nics, devices, passthrough }: Cards): CardAddress[] {
  const given = (list: string, mac: unknown, index: number): CardAddress[] =>
    typeof mac === 'string' ? [{ path: [list, index, 'mac'], mac: mac.toLowerCase() }] : [];
  return [
    ...nics.flatMap(({ mac }, index) => given('nics', mac ?? macAddress(name, index), index)),
    ...passthrough.flatMap(({ mac }, index) => given('passthrough', mac, index)),
    ...devices.flatMap(({ type, mac }, index) =>
      deviceTable.find(type)?.backend === 'net' ? given('devices', mac, index) : [],
    ),
  ];
}

/** Two cards with the same address, as a sentence about the second; null if there are none. */
export function sameMac(
  definition: Cards,
): { readonly path: (string | number)[]; readonly message: string } | null {
  const seen = new Map<string, CardAddress>();
  for (const card of cardAddresses(definition)) {
    const first = seen.get(card.mac);
    if (first !== undefined) {
      const [list, index] = first.path;
      return {
        path: [...card.path],
        message: `${card.mac} is already the MAC address of ${list}[${index}]: change one of the two, or leave it out`,
      };
    }
    seen.set(card.mac, card);
  }
  return null;
}
