import type { DiskLimits } from '../../devices/backends/disk.ts';
import type { NetLimits } from '../../devices/backends/net-limits.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { definedAs, whyNeeded } from '../../engine/hotplug/defined-device.ts';
import { identityOf, isOnBusOf } from '../../engine/hotplug/defined-devices.ts';
import { DefinitionFileError } from '../files.ts';
import { plainLimits, plainNicLimits } from '../plain.ts';
import { readDefinition } from '../read.ts';
import type { Definition } from '../schema.ts';
import { wantedDevices } from '../wanted-devices.ts';
import { YamlText } from '../yaml-text.ts';
import { changeKeys, type KeyChange } from './change-text.ts';

/** A device of a definition: its name in the VM, and where it is written; null if other devices imply it. */
type WrittenDevice = {
  readonly name: string;
  readonly path: KeyChange['path'] | null;
  readonly entry: Readonly<Record<string, unknown>>;
};

type ListedDevice = WrittenDevice & { readonly path: KeyChange['path'] };

/**
 * The text of a definition with another device at the end, where it does not move any other. Comments are kept. A
 * device without a name gets the next free one.
 * @throws DefinitionError, DefinitionFileError if it does not fit in
 */
export function withDevice(
  text: string,
  file: string,
  definition: Definition,
  device: DeviceConfig,
): { readonly text: string; readonly name: string } {
  const written = writtenDevices(definition);
  if (device.name !== undefined && written.some(({ name }) => name === device.name))
    throw new DefinitionFileError(
      `${file} has a device named "${device.name}" already: choose another name, or change the definition`,
    );
  const { list, entry } = entryOf(
    device,
    device.name ?? deviceTable.freeName(device.type, new Set(written.map(({ name }) => name))),
  );
  const { document } = new YamlText(text, file);
  const present = document.getIn([list], true) as { readonly items?: readonly unknown[] } | undefined;
  const at = present?.items?.length ?? 0;
  const change = at === 0 ? { path: [list], value: [entry] } : { path: [list, at], value: entry };
  const changed = changeKeys(text, file, [change]);
  const added = listedDevices(readDefinition(changed, { file, name: definition.name }));
  const name = added.find(({ path }) => path[0] === list && path[1] === at)?.name;
  return { text: changed, name: name ?? device.name ?? '' };
}

/**
 * The text of a definition without a device.
 * @param device its name in the VM, with its type, its disk or its host device if known: the definition may use
 * another name by now, or use the name for another device
 * @throws DefinitionFileError if there is no such device
 */
export function withoutDevice(
  text: string,
  file: string,
  definition: Definition,
  device: Partial<DeviceConfig>,
): string {
  refuseImplied(definition, file, device);
  const written = listedDevices(definition);
  const found = findDevice(written, file, device);
  const [list, index] = found.path;
  const others = written.filter(({ path }) => path[0] === list && path.length > 1);
  const path = typeof index === 'number' && others.length === 1 ? [list!] : found.path;
  return changeKeys(text, file, [{ path, value: TURNED_OFF[list!] }]);
}

/** @throws DefinitionFileError for a controller that is there because other devices need it */
function refuseImplied(definition: Definition, file: string, { name }: Partial<DeviceConfig>): void {
  const written = writtenDevices(definition);
  const found = written.find(device => device.name === name && device.path === null);
  if (found === undefined) return;
  const controller = { ...found.entry, name: found.name } as Partial<DeviceConfig>;
  const needing = written.filter(({ entry }) => isOnBusOf(controller, entry)).map(device => device.name);
  throw new DefinitionFileError(`${file} does not list ${found.name}: ${whyNeeded('it', needing)}`);
}

/** Devices that a VM may have unless they are turned off. */
const TURNED_OFF: Readonly<Record<string, unknown>> = { rng: false, display: 'none' };

/**
 * The text of a definition in which a disk or network card has these limits, and no others.
 * @param device as for `withoutDevice`
 * @throws DefinitionFileError if there is no such device
 */
export function withLimits(
  text: string,
  file: string,
  definition: Definition,
  device: Partial<DeviceConfig>,
  limits: DiskLimits | NetLimits,
): string {
  const { path } = findDevice(listedDevices(definition), file, device);
  const value = Object.keys(limits).length === 0 ? undefined : limitsIn(path[0]!, limits);
  return changeKeys(text, file, [{ path: [...path, 'limits'], value }]);
}

/** In the form that the list uses: `devices` has the form of a machine's configuration. */
function limitsIn(list: string | number, limits: DiskLimits | NetLimits): object {
  if (list === 'disks') return plainLimits(limits as DiskLimits);
  return list === 'nics' ? plainNicLimits(limits as NetLimits) : limits;
}

/** @throws DefinitionFileError if there is no such device */
function findDevice(
  written: readonly ListedDevice[],
  file: string,
  device: Partial<DeviceConfig>,
): ListedDevice {
  const found = definedAs(
    written.map(found => ({ ...identityOf(found.entry), name: found.name, found })),
    identityOf(device),
  )?.found;
  if (found !== undefined) return found;
  const names = written.map(({ name }) => name).join(', ');
  throw new DefinitionFileError(
    `${file} has no device "${device.name}": ${names === '' ? 'it lists none' : `it has ${names}`}`,
  );
}

/** Passed-through devices have their own key. */
function entryOf({ type, ...options }: DeviceConfig, name: string) {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  if (deviceTable.find(type)?.definition?.key !== 'passthrough')
    return { list: 'devices', entry: { type, name, ...given } };
  const { name: _, bus: __, ...entry } = given;
  return { list: 'passthrough', entry };
}

/** Those that the definition lists. */
function listedDevices(definition: Definition): ListedDevice[] {
  return writtenDevices(definition).filter((device): device is ListedDevice => device.path !== null);
}

function writtenDevices(definition: Definition): WrittenDevice[] {
  const wanted = wantedDevices(definition).filter(
    ({ entry: { type } }) => type !== null && deviceTable.find(type) !== undefined,
  );
  const names = deviceTable.names(wanted.map(({ entry }) => entry as DeviceConfig));
  return wanted.map(({ key, entry, implied }, index) => ({
    name: names[index]!,
    path: implied ? null : pathOf(key),
    entry,
  }));
}

/** `disks[0].bus` is in `disks`, at 0; `machine.hpet` is in `machine`. */
function pathOf(key: string): KeyChange['path'] {
  const [, list, index, below] = /^([a-z]+)(?:\[(\d+)\]|\.([a-z]+))?/.exec(key)!;
  if (index !== undefined) return [list!, Number(index)];
  return below === undefined ? [list!] : [list!, below];
}
