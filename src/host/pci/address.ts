/** The parts of a PCI address; `domain` has more than 16 bits on hosts with VMD controllers. */
export type PciAddressParts = {
  readonly domain: number;
  readonly bus: number;
  readonly device: number;
  readonly function: number;
};

const full = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i;
const withoutDomain = /^([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])$/i;

/** Parses `0000:02:00.0`; null if it is not an address as sysfs writes it. */
export function parseAddress(text: string): PciAddressParts | null {
  const match = full.exec(text);
  if (match === null) return null;
  const [domain, bus, device, fn] = match.slice(1).map(part => Number.parseInt(part, 16)) as [
    number,
    number,
    number,
    number,
  ];
  return { domain, bus, device, function: fn };
}

/** Writes an address as sysfs does: `0000:02:00.0`. */
export function formatAddress(parts: PciAddressParts): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return `${hex(parts.domain, 4)}:${hex(parts.bus, 2)}:${hex(parts.device, 2)}.${parts.function}`;
}

/** Adds domain 0000 to an address or slot without one, `02:00.0` or `02:00`; others are unchanged. */
export function withDomain(text: string): string {
  return /^[0-9a-f]{2}:/i.test(text) ? `0000:${text}` : text;
}

/** The device that functions share: `0000:02:00`. */
export type PciSlotParts = Omit<PciAddressParts, 'function'>;

/** Parses `0000:02:00`; null if it is not a slot. */
export function parseSlot(text: string): PciSlotParts | null {
  const parts = parseAddress(`${text}.0`);
  if (parts === null) return null;
  const { function: _, ...slot } = parts;
  return slot;
}

/** Writes a slot: `0000:02:00`. */
export function formatSlot(slot: PciSlotParts): string {
  return slotOf(formatAddress({ ...slot, function: 0 }));
}

/** Orders by domain, bus, device, function. */
export function compareAddresses(a: string, b: string): number {
  // Domains have four digits, and more only above ffff, so the longer address is the higher one.
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The `domain:bus:device` part: the same for all functions of a slot. */
export function slotOf(address: string): string {
  return address.slice(0, address.lastIndexOf('.'));
}

/**
 * The address in `known` that `text` denotes. A short one, `02:00.0` or `2:0.0`, may omit the domain if only one
 * function matches. Case does not matter.
 * @throws a message for the user if no function matches, or several do
 */
export function resolveAddress(text: string, known: readonly string[]): string {
  const lower = text.trim().toLowerCase();
  const short = withoutDomain.exec(lower);
  if (parseAddress(lower) === null && short === null) {
    throw new Error(
      `"${text}" is not a PCI address: write it as 0000:02:00.0, or 02:00.0 without the domain`,
    );
  }
  const tail = short && `${short[1]!.padStart(2, '0')}:${short[2]!.padStart(2, '0')}.${short[3]}`;
  const matches = known.filter(address => (tail ? address.endsWith(`:${tail}`) : address === lower));
  if (matches.length === 1) return matches[0]!;
  if (matches.length === 0) throw new Error(`no PCI function ${text} on this host: see vring pci list`);
  throw new Error(`${text} exists in several domains: use one of ${matches.join(', ')}`);
}
