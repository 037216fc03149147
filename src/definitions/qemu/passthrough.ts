import path from 'node:path';
import { DEVICE_NAME } from '../../devices/device-type.ts';
import type { PassthroughInput } from '../fields/passthrough.ts';
import { shown } from '../words.ts';
import { ANY_DEVICE } from './device-properties.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { LeftOutSettings, Settings } from './settings.ts';

const NO_DISPLAY = 'the screen of a passed-through device is its own';
const NO_MIGRATION = 'a VM with a passed-through device does not migrate';
const NO_IGD =
  "the memory that Intel's graphics shares with the firmware is not passed on: its own displays stay dark";
const OWN_QUIRKS = 'vring knows what a device needs';

const LEFT_OUT: LeftOutSettings = {
  display: NO_DISPLAY,
  ramfb: NO_DISPLAY,
  driver: 'vring uses VFIO',
  'enable-migration': NO_MIGRATION,
  'x-migration*': NO_MIGRATION,
  'x-pre-copy*': NO_MIGRATION,
  'migration-*': NO_MIGRATION,
  'x-igd*': NO_IGD,
  'x-nv-gpudirect-clique': 'there is no GPUDirect between passed-through devices',
  'x-balloon-allowed': 'all memory of the VM stays pinned',
  'x-no-geforce-quirks': OWN_QUIRKS,
  'x-no-vfio-ioeventfd': OWN_QUIRKS,
  'x-msix-relocation': OWN_QUIRKS,
  'x-enable-intx-for-shared-irq': OWN_QUIRKS,
  'use-legacy-x86-rom': OWN_QUIRKS,
  'skip-vsc-check': OWN_QUIRKS,
};

const SWITCHES = ['x-vga', 'x-no-mmap', 'x-no-kvm-intx', 'x-no-kvm-msi', 'x-no-kvm-msix', 'x-req'] as const;
const IDS = ['x-pci-vendor-id', 'x-pci-device-id', 'x-pci-sub-vendor-id', 'x-pci-sub-device-id'] as const;

type Option = { readonly place: Place; readonly id: string | undefined; readonly addr?: string | undefined };

/** -device vfio-pci. @throws OptionError */
export function readPassthrough(draft: Draft, settings: Settings, { place, id, addr }: Option): void {
  const host = hostOf(settings);
  if (settings.take('fd') !== undefined)
    throw new OptionError('fd: vring opens the device itself: name it with host=');
  const entry: PassthroughInput = { host, ...takeName(id), ...takeBus(draft, settings, place, addr) };
  for (const key of SWITCHES) entry[key] = settings.takeSwitch(key);
  for (const key of IDS) entry[key] = takeNumber(settings, key, 0xffff);
  entry['x-intx-mmap-timeout-ms'] = takeNumber(settings, 'x-intx-mmap-timeout-ms', 3_600_000);
  const rombar = settings.take('rombar');
  // It was a number before QEMU had switches; anything but 0 is on.
  if (rombar !== undefined && /^(0|off|no|false)$/.test(rombar)) entry.rombar = false;
  const romfile = settings.take('romfile');
  if (romfile) entry.romfile = path.resolve(draft.host.cwd, romfile);
  const token = settings.take('vf-token');
  if (token !== undefined) entry['vf-token'] = token;
  const bootindex = settings.take('bootindex');
  if (bootindex !== undefined && bootindex !== '-1') {
    if (!/^\d{1,9}$/.test(bootindex))
      throw new OptionError(`bootindex takes a whole number, not ${shown(bootindex)}`);
    entry.bootindex = Number(bootindex);
  }
  const iommufd = settings.take('iommufd');
  if (iommufd !== undefined) {
    draft.claimIommufd(iommufd);
    entry.iommufd = true;
  }
  settings.leaveOut({ ...LEFT_OUT, 'acpi-index': ANY_DEVICE['acpi-index']! });
  const given = Object.entries(entry).filter(([, value]) => value !== undefined);
  draft.addPassthrough(place, Object.fromEntries(given) as PassthroughInput);
}

/** QEMU accepts addresses without leading zeros. @throws OptionError */
function hostOf(settings: Settings): string {
  const sysfs = settings.take('sysfsdev');
  if (sysfs === undefined) return padded(settings.require('host'));
  const address = /^\/sys\/(?:.*\/)?([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\/?$/i.exec(sysfs)?.[1];
  if (address !== undefined && settings.take('host') === undefined) return address;
  throw new OptionError(
    /mdev|[0-9a-f]{8}-[0-9a-f]{4}-/i.test(sysfs)
      ? 'sysfsdev: mediated devices are not supported: pass a virtual function, or the whole device, with host='
      : `sysfsdev takes the folder of a PCI device in /sys, without host=, not ${shown(sysfs)}`,
  );
}

function padded(host: string): string {
  const match = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(host);
  if (match === null) return host;
  const [, domain = '0', bus, device, fn] = match;
  return `${domain.padStart(4, '0')}:${bus!.padStart(2, '0')}:${device!.padStart(2, '0')}.${fn}`;
}

function takeName(id: string | undefined): { name?: string } {
  const name = id?.toLowerCase().replaceAll(/[._]/g, '-');
  return name !== undefined && DEVICE_NAME.pattern.test(name) ? { name } : {};
}

/** Behind a bridge, which becomes part of the definition, or on the root bus at `addr`. */
function takeBus(
  draft: Draft,
  settings: Settings,
  place: Place,
  addr: string | undefined,
): Pick<PassthroughInput, 'bus' | 'addr' | 'multifunction'> {
  const bus = settings.take('bus');
  const given = settings.take('addr');
  const multifunction = settings.takeSwitch('multifunction');
  if (addr !== undefined) return { addr };
  if (bus === undefined || draft.buses.isRoot(bus)) return multifunction ? { multifunction } : {};
  if (!draft.buses.has(bus))
    draft.leaveOut(place, 'no option defines this bus: it becomes a root port', `bus=${bus}`);
  const match = /^(?:0x)?([0-9a-f]{1,2})(?:\.(?:0x)?([0-7]))?$/i.exec(given ?? '');
  const at = match === null ? {} : { addr: `${match[1]!.padStart(2, '0').toLowerCase()}.${match[2] ?? 0}` };
  return { bus: draft.buses.use(bus), ...at };
}

/** @throws OptionError */
function takeNumber(settings: Settings, key: string, most: number): number | undefined {
  const text = settings.take(key);
  if (text === undefined || text === '-1') return undefined;
  const value = /^(0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text) ? Number(text) : Number.NaN;
  // QEMU's value for "the device's own".
  if (value === 0xffffffff) return undefined;
  if (value <= most) return value;
  throw new OptionError(`${key} takes a number up to ${most}, not ${shown(text)}`);
}
