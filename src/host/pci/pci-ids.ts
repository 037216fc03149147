import { HostReadError, type HostRoot } from '../root.ts';
import { printable } from '../text.ts';

/** Where distributions install the PCI ID database. */
export const pciIdsPaths = [
  '/usr/share/hwdata/pci.ids',
  '/usr/share/misc/pci.ids',
  '/usr/share/pci.ids',
] as const;

type Vendor = { readonly name: string; readonly start: number; readonly end: number };
type Device = { readonly name: string; readonly subsystems: ReadonlyMap<string, string> };

/**
 * Names from pci.ids. Vendors are indexed when the file is opened, a vendor's devices on first
 * use.
 */
export class PciIds {
  readonly #text: string;
  readonly #vendors = new Map<string, Vendor>();
  readonly #devices = new Map<string, ReadonlyMap<string, Device>>();
  readonly #classes = new Map<string, string>();

  constructor(text: string) {
    this.#text = text;
    const classes = text.indexOf('\nC ');
    this.#indexVendors(classes < 0 ? text.length : classes);
    if (classes >= 0) this.#readClasses(text.slice(classes + 1));
  }

  vendor(vendor: string): string | null {
    return this.#vendors.get(vendor)?.name ?? null;
  }

  device(vendor: string, device: string): string | null {
    return this.#devicesOf(vendor).get(device)?.name ?? null;
  }

  /** The name of a subsystem; ids as four lower-case hex digits each. */
  subsystem(vendor: string, device: string, subVendor: string, subDevice: string): string | null {
    const subsystems = this.#devicesOf(vendor).get(device)?.subsystems;
    return subsystems?.get(`${subVendor} ${subDevice}`) ?? null;
  }

  /** The most specific name of a class code of six hex digits: programming interface, else subclass, else class. */
  className(code: string): string | null {
    const subclass = this.#classes.get(code.slice(0, 4));
    const progIf = this.#classes.get(code);
    if (progIf && subclass) return `${subclass} (${progIf})`;
    return subclass ?? this.#classes.get(code.slice(0, 2)) ?? null;
  }

  /** The subclass alone, as lspci shows it: `Ethernet controller`. */
  subclassName(code: string): string | null {
    return this.#classes.get(code.slice(0, 4)) ?? this.#classes.get(code.slice(0, 2)) ?? null;
  }

  #indexVendors(end: number): void {
    const line = /^([0-9a-f]{4}) {2}(.*)$/gm;
    let open: { id: string; name: string; start: number } | null = null;
    for (let match = line.exec(this.#text); match && match.index < end; match = line.exec(this.#text)) {
      if (open) this.#vendors.set(open.id, { name: open.name, start: open.start, end: match.index });
      open = { id: match[1]!, name: printable(match[2]!), start: line.lastIndex };
    }
    if (open) this.#vendors.set(open.id, { name: open.name, start: open.start, end });
  }

  #devicesOf(vendorId: string): ReadonlyMap<string, Device> {
    const known = this.#devices.get(vendorId);
    if (known) return known;
    const vendor = this.#vendors.get(vendorId);
    const devices = vendor ? parseDevices(this.#text.slice(vendor.start, vendor.end)) : new Map();
    this.#devices.set(vendorId, devices);
    return devices;
  }

  #readClasses(text: string): void {
    let base = '';
    let sub = '';
    for (const line of text.split('\n')) {
      const match = /^(C |\t{1,2})([0-9a-f]{2}) {2}(.*)$/.exec(line);
      if (match === null) continue;
      const [, indent, code, name] = match as unknown as [string, string, string, string];
      if (indent === 'C ') base = code;
      if (indent === '\t') sub = code;
      const key = indent === 'C ' ? base : indent === '\t' ? base + sub : base + sub + code;
      this.#classes.set(key, printable(name));
    }
  }
}

function parseDevices(block: string): Map<string, Device> {
  const devices = new Map<string, Device>();
  let subsystems = new Map<string, string>();
  for (const line of block.split('\n')) {
    if (line.charCodeAt(0) !== 9) continue;
    if (line.charCodeAt(1) === 9) {
      subsystems.set(line.slice(2, 11), printable(line.slice(13)));
    } else {
      subsystems = new Map();
      devices.set(line.slice(1, 5), { name: printable(line.slice(7)), subsystems });
    }
  }
  return devices;
}

const opened = new WeakMap<HostRoot, PciIds>();

/** The host's database; an empty one if none is installed. */
export function pciIds(root: HostRoot): PciIds {
  const known = opened.get(root);
  if (known) return known;
  let text = '';
  for (const path of pciIdsPaths) text ||= textOf(root, path);
  const ids = new PciIds(text);
  opened.set(root, ids);
  return ids;
}

/** Names are not worth an error. */
function textOf(root: HostRoot, path: string): string {
  try {
    return root.text(path, 16 << 20) ?? '';
  } catch (error) {
    if (error instanceof HostReadError) return '';
    throw error;
  }
}
