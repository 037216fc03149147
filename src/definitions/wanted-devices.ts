import type { Disk } from './fields/disks.ts';
import type { Nic } from './fields/nics.ts';
import { macAddress } from './mac-address.ts';
import type { Definition } from './schema.ts';

/** A device that a definition asks for, as an entry of the device table. */
export type WantedDevice = {
  /** The key that asks for it: `nics[0].model`. */
  readonly key: string;
  /** What people call it, as a plural or a mass noun: `e1000 network cards`. */
  readonly what: string;
  readonly entry: { readonly type: string } & Readonly<Record<string, unknown>>;
};

/** The device table's types of disks, by bus. */
export const DISK_TYPES = { virtio: 'virtio-blk', scsi: 'scsi-disk', ide: 'ide-disk' } as const;

/** The device table's types of network cards, by model. */
export const NIC_TYPES = {
  virtio: 'virtio-net',
  e1000: 'e1000',
  e1000e: 'e1000e',
  igb: 'igb',
  rtl8139: 'rtl8139',
  vmxnet3: 'vmxnet3',
} as const satisfies Record<Nic['model'], string>;

/** The devices of a definition in the order of their PCI slots. */
export function wantedDevices(definition: Definition): WantedDevice[] {
  const { name, disks, nics, rng, balloon, passthrough, devices } = definition;
  return [
    ...disks.map((disk, index) => ofDisk(disk, `disks[${index}]`)),
    ...nics.map((nic, index) => ofNic(nic, name, index)),
    ...(rng ? [{ key: 'rng', what: 'random number devices', entry: { type: 'virtio-rng' } }] : []),
    ...(balloon ? [{ key: 'balloon', what: 'memory balloons', entry: { type: 'virtio-balloon' } }] : []),
    ...(definition.console === 'virtio'
      ? [{ key: 'console', what: 'virtio consoles', entry: { type: 'virtio-console' } }]
      : []),
    ...passthrough.map(({ host, id }, index) => ({
      key: `passthrough[${index}]`,
      what: 'PCI passthrough',
      entry: { type: 'vfio-pci', host, ...(id !== undefined && { id }) },
    })),
    ...devices.map((entry, index) => ({ key: `devices[${index}]`, what: `${entry.type} devices`, entry })),
  ];
}

/** Only what differs from the defaults is passed on, so that a type need not know options that it lacks. */
function ofDisk(
  { file, bus, format, cdrom, readonly, cache, serial, queues }: Disk,
  key: string,
): WantedDevice {
  return {
    key: `${key}.bus`,
    what: `${bus} ${cdrom ? 'CD-ROMs' : 'disks'}`,
    entry: {
      type: DISK_TYPES[bus],
      path: file,
      ...(format !== undefined && { format }),
      ...(cdrom ? { cdrom } : readonly && { readonly }),
      ...(cache !== 'writeback' && { cache }),
      ...(serial !== undefined && { serial }),
      ...(queues > 1 && { queues }),
    },
  };
}

function ofNic({ model, network, mac }: Nic, vm: string, index: number): WantedDevice {
  return {
    key: `nics[${index}].model`,
    what: `${model} network cards`,
    entry: { type: NIC_TYPES[model], network, mac: mac ?? macAddress(vm, index) },
  };
}
