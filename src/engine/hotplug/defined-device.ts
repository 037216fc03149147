import type { DeviceLabel } from '../../vmm/machine/topology.ts';

/** A device that a VM gets at its next start, as its definition has it. */
export type DefinedDevice = Pick<DeviceLabel, 'name' | 'type' | 'title' | 'backend' | 'bus' | 'facts'> & {
  /** The file of its disk, if it has one. */
  readonly path?: string;
  /** The host's PCI function that it passes through, if it is one: `0000:01:10.0`. */
  readonly host?: string;
  /** Another medium may be in it while the VM runs; default: it keeps its disk. */
  readonly drive?: true;
  /** The definition does not list it: these devices need it, by name. Absent if it is listed. */
  readonly neededBy?: readonly string[];
};

/** What identifies a device: its name, and as far as known, its type, its disk, and its host device. */
export type DeviceIdentity = Partial<Pick<DefinedDevice, 'name' | 'type' | 'path' | 'host' | 'drive'>>;

/** When a definition that does not list a device has it no longer, in a clause. */
export function whyNeeded(device: string, names: readonly string[]): string {
  return names.length === 1
    ? `${device} goes with ${names[0]}, which needs it`
    : `${device} goes with the last of ${names.join(', ')}, which need it`;
}

/**
 * The device of a definition that a device of the VM is, if any: the one with its disk or its host device, else the one
 * with its name, unless that has become another device.
 */
export function definedAs<Defined extends DeviceIdentity>(
  defined: readonly Defined[],
  device: DeviceIdentity,
): Defined | undefined {
  const same = (key: 'path' | 'host') =>
    device[key] === undefined ? undefined : defined.find(each => each[key] === device[key]);
  const differs = (each: Defined, key: 'type' | 'path' | 'host') =>
    device[key] !== undefined && each[key] !== undefined && device[key] !== each[key];
  const isNamed = (each: Defined) =>
    each.name === device.name &&
    !differs(each, 'type') &&
    !differs(each, 'host') &&
    (each.drive || !differs(each, 'path'));
  return same('path') ?? same('host') ?? defined.find(isNamed);
}
