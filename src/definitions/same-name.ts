import { type DeviceConfig, deviceTable } from '../devices/registry.ts';

type Named = {
  readonly passthrough: readonly { readonly name?: string | undefined }[];
  readonly devices: readonly DeviceConfig[];
};

/** Two devices with one name, as a sentence about the second; null if there are none. */
export function sameDeviceName({
  passthrough,
  devices,
}: Named): { readonly path: (string | number)[]; readonly message: string } | null {
  const builtin = new Set(deviceTable.builtinNames(devices));
  const taken = new Map<string, string>();
  const all = [
    ...passthrough.map(({ name }, index) => ({ list: 'passthrough', index, name })),
    ...devices.map(({ name }, index) => ({ list: 'devices', index, name })),
  ];
  for (const { list, index, name } of all) {
    if (name === undefined) continue;
    const path = [list, index, 'name'];
    if (builtin.has(name))
      return { path, message: `every machine has a device named "${name}": choose another name` };
    const first = taken.get(name);
    if (first !== undefined)
      return { path, message: `${first} is named "${name}" already: choose another name` };
    taken.set(name, `${list}[${index}]`);
  }
  return null;
}
