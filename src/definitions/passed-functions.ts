import { type DeviceConfig, deviceTable } from '../devices/registry.ts';
import type { PassedVfSettings } from '../host/passthrough/assessment.ts';
import { parseAddress, slotOf } from '../host/pci/address.ts';
import { functionsOfHostSlot } from '../host/pci/slot-functions.ts';
import { HostRoot } from '../host/root.ts';
import type { Passthrough } from './fields/passthrough.ts';
import { given } from './given.ts';

/** The functions of a device of the host, by its slot (`0000:02:00`), as full addresses. */
export type FunctionsOfSlot = (slot: string) => readonly string[];

/** A function of the host that a definition passes through. */
export type PassedFunction = {
  /** Index of the entry that asks for it. */
  readonly index: number;
  /** Its options, with the address of one function. */
  readonly device: Passthrough;
};

/** Options that concern one function; for a whole device, its first. */
const OF_ONE = [
  ...['id', 'name', 'mac', 'vlan', 'qos', 'trust', 'spoof-check', 'romfile', 'bootindex', 'x-vga'],
  ...['x-pci-vendor-id', 'x-pci-device-id', 'x-pci-sub-vendor-id', 'x-pci-sub-device-id'],
] as const;

/** The settings that are made for the VM on the VF's physical function. */
export function vfSettings(device: Passthrough): PassedVfSettings {
  const { mac, vlan, qos, trust, 'spoof-check': spoofCheck } = device;
  return given<PassedVfSettings>({ mac, vlan, qos, trust, spoofCheck });
}

/** Entries by function. An entry for a whole device becomes all its functions, which stay together in the guest. */
export function passedFunctions(
  entries: readonly Passthrough[],
  functionsOfSlot: FunctionsOfSlot,
): PassedFunction[] {
  return entries.flatMap((device, index) => {
    if (parseAddress(device.host) !== null) return [{ index, device }];
    const found = functionsOfSlot(device.host);
    // Starting the VM reports the missing function.
    const functions = found.length > 0 ? found : [`${device.host}.0`];
    return functions.map((host, at) => ({ index, device: asFunction(device, host, at === 0) }));
  });
}

function asFunction(device: Passthrough, host: string, first: boolean): Passthrough {
  const all: Record<string, unknown> = { ...device, host, multifunction: true };
  if (!first) for (const key of OF_ONE) delete all[key];
  if (device.addr !== undefined) all.addr = `${device.addr.replace(/\..*$/, '')}.${host.at(-1)}`;
  return all as Passthrough;
}

/** The functions of a device of this host. */
export function hostFunctionsOfSlot(slot: string): string[] {
  return functionsOfHostSlot(new HostRoot(), slot);
}

type Passing = { readonly passthrough: readonly Passthrough[]; readonly devices: readonly DeviceConfig[] };

/** Two entries that pass the same function, as a sentence about the second; null if there are none. */
export function samePassthrough({
  passthrough,
  devices,
}: Passing): { readonly path: (string | number)[]; readonly message: string } | null {
  const all = [
    ...passthrough.map(({ host }, index) => ({ list: 'passthrough', index, host })),
    ...devices.flatMap((device, index) => {
      const found = deviceTable.hostDevice(device);
      return found === null ? [] : [{ list: 'devices', index, host: found.address }];
    }),
  ];
  for (const [at, second] of all.entries()) {
    const first = all.slice(0, at).find(({ host }) => overlap(host, second.host));
    if (first === undefined) continue;
    const message = `${second.host} is already passed by ${first.list}[${first.index}]${first.host === second.host ? '' : ` (${first.host})`}: remove one of the two`;
    return { path: [second.list, second.index, 'host'], message };
  }
  return null;
}

/** Whether two functions or devices have a function in common. */
function overlap(a: string, b: string): boolean {
  return a === b || slotOf(a) === b || slotOf(b) === a;
}
