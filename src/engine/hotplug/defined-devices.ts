import { type DiskLimits, limitsText } from '../../devices/backends/disk.ts';
import { type NetLimits, netLimitsText } from '../../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { DeviceFact } from '../../devices/device-type.ts';
import { deviceTable } from '../../devices/registry.ts';
import { networkName, networkText } from '../networks/vm-nics.ts';
import type { DefinedDevice, DeviceIdentity } from './defined-device.ts';

/**
 * The devices of a definition. Types that only its device modules know are left out.
 * @param implied those that the definition does not list
 */
export function definedDevices(
  devices: readonly DeviceConfig[],
  table = deviceTable,
  implied: ReadonlySet<DeviceConfig> = new Set(),
): DefinedDevice[] {
  const known = devices.filter(({ type }) => table.find(type) !== undefined);
  const names = table.names(known);
  return known.map((config, index) => {
    const { type, title, backend = null, bus } = table.rowOf(config);
    const identity = identityOf(config, table);
    const name = names[index]!;
    const isNeeding = (other: DeviceConfig) => isOnBusOf({ ...config, name }, other, table);
    return {
      ...{ ...identity, name, type, title, backend },
      ...(implied.has(config) && { neededBy: names.filter((_, other) => isNeeding(known[other]!)) }),
      bus: config.bus ?? (bus === 'pci' || bus === 'isa' ? `${bus}.0` : bus),
      facts: [
        ...(backend === 'disk' ? diskFacts(config) : []),
        ...(backend === 'net' ? netFacts(config) : []),
        ...(identity.host === undefined ? [] : [{ label: 'host device', value: identity.host }]),
      ],
    };
  });
}

/** Whether a device is on the bus of a controller, given or by default. */
export function isOnBusOf(
  controller: Partial<DeviceConfig>,
  { type, bus }: Partial<DeviceConfig>,
  table = deviceTable,
): boolean {
  if (bus !== undefined) return bus === controller.name;
  const provided = controller.type === undefined ? undefined : table.find(controller.type)?.provides?.kind;
  return type !== undefined && provided !== undefined && table.find(type)?.bus === provided;
}

/** What identifies the device that a configuration describes, which may be incomplete. */
export function identityOf(config: Partial<DeviceConfig>, table = deviceTable): DeviceIdentity {
  const { name, type, path, host } = config;
  const row = type === undefined ? undefined : table.find(type);
  const address = type === undefined ? undefined : table.hostDevice({ ...config, type })?.address;
  const isDrive = row?.bus === 'floppy' || row?.definition?.cdrom === true;
  return {
    ...(name !== undefined && { name }),
    ...(type !== undefined && { type }),
    ...(typeof path === 'string' && { path }),
    ...(address !== undefined ? { host: address } : typeof host === 'string' && { host }),
    ...(isDrive && { drive: true }),
  };
}

function diskFacts(config: DeviceConfig): DeviceFact[] {
  const disk = deviceTable.disk(config);
  if (disk === null) return [{ label: 'path', value: 'empty' }];
  return [
    { label: 'path', value: disk.path },
    ...(disk.format === undefined ? [] : [{ label: 'format', value: disk.format }]),
    { label: 'cache', value: disk.cache },
    { label: 'read-only', value: disk.readonly },
    ...(disk.transient ? [{ label: 'transient', value: true }] : []),
    ...(config.limits === undefined
      ? []
      : [{ label: 'limits', value: limitsText(config.limits as DiskLimits) }]),
  ];
}

function netFacts(config: DeviceConfig): DeviceFact[] {
  const { options, mac, queuePairs } = deviceTable.network(config)!;
  return [
    { label: 'network', value: networkText({ type: options.type, name: networkName(options) }) },
    ...(mac === null ? [] : [{ label: 'MAC', value: mac.toLowerCase() }]),
    ...(config.link === false ? [{ label: 'link', value: 'down' }] : []),
    { label: 'queues', value: queuePairs },
    ...(config.limits === undefined
      ? []
      : [{ label: 'limits', value: netLimitsText(config.limits as NetLimits) }]),
  ];
}
