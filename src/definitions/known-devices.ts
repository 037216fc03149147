import type { DefinitionKey, DeviceType, LibvirtNames } from '../devices/device-type.ts';
import { deviceTable } from '../devices/registry.ts';
import { virtioNames } from '../devices/virtio/qemu-names.ts';

/** A device with its own key in definitions, and its names in QEMU and libvirt. */
export type KnownDevice = Pick<DeviceType, 'qemu' | 'libvirt'> & { readonly definition: DefinitionKey };

type NamedType = Pick<DeviceType, 'qemu' | 'libvirt' | 'definition'>;

/**
 * What definitions may ask for although the device table has no row for it yet; a row with the same key replaces the
 * entry.
 */
const AWAITED: readonly KnownDevice[] = [
  nic('virtio', virtioNames('net'), ['virtio', 'virtio-transitional', 'virtio-non-transitional']),
  nic('e1000', ['e1000', 'e1000-82540em', 'e1000-82544gc', 'e1000-82545em']),
  nic('e1000e', ['e1000e']),
  nic('i82551', ['i82551']),
  nic('i82557b', ['i82557b']),
  nic('i82559er', ['i82559er']),
  nic('igb', ['igb']),
  nic('ne2k_isa', ['ne2k_isa']),
  nic('ne2k_pci', ['ne2k_pci']),
  nic('pcnet', ['pcnet']),
  nic('rtl8139', ['rtl8139']),
  nic('vmxnet3', ['vmxnet3']),
  { definition: { key: 'console', value: 'virtio' }, qemu: { devices: ['virtconsole'], properties: {} } },
];

function nic(value: string, devices: readonly string[], models: readonly string[] = []): KnownDevice {
  return {
    definition: { key: 'nics', value },
    qemu: { devices, properties: {} },
    libvirt: { element: 'interface', models: [...models, ...devices] },
  };
}

/** The devices that definitions have keys for: those of the table, then the others. */
export function knownDevices(rows: readonly NamedType[] = deviceTable.rows): KnownDevice[] {
  const own = rows.flatMap(({ definition, qemu, libvirt }) =>
    definition === undefined ? [] : [{ definition, ...(qemu && { qemu }), ...(libvirt && { libvirt }) }],
  );
  const isOwn = ({ key, value }: DefinitionKey) =>
    own.some(({ definition }) => definition.key === key && definition.value === value);
  return [...own, ...AWAITED.filter(({ definition }) => !isOwn(definition))];
}

/** The device with this name in QEMU's `-device`; undefined if definitions have no key for it. */
export function qemuDevice(
  name: string,
  rows: readonly NamedType[] = deviceTable.rows,
): KnownDevice | undefined {
  return knownDevices(rows).find(({ qemu }) => qemu?.devices.includes(name));
}

/** The device that a libvirt element with this model or bus describes. */
export function libvirtDevice(element: LibvirtNames['element'], model: string): KnownDevice | undefined {
  return knownDevices().find(({ libvirt }) => libvirt?.element === element && libvirt.models.includes(model));
}
