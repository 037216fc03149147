import type { LeftOutSettings } from './settings.ts';

const PLACE = 'vring has no such bus: the slot follows from the order of the devices';
const OWN_QUEUES = 'vring chooses how data is transferred';
const NO_ROM = 'devices have no option ROMs';
const OWN_FEATURES = 'vring chooses the features of its devices';
const AS_WRITTEN = 'disks are numbered in the order of their options';

/** Properties of any device that a guest does not need. */
export const ANY_DEVICE: LeftOutSettings = {
  addr: PLACE,
  bus: PLACE,
  multifunction: PLACE,
  'acpi-index': 'guests name interfaces after their slots',
  bootindex: 'the firmware boots from disks and network cards only',
  iothread: 'each queue has its own thread',
  'iothread-vq-mapping*': 'each queue has its own thread',
  vectors: OWN_QUEUES,
  ioeventfd: OWN_QUEUES,
  event_idx: OWN_QUEUES,
  indirect_desc: OWN_QUEUES,
  'page-per-vq': OWN_QUEUES,
  packed: OWN_QUEUES,
  'queue-size': OWN_QUEUES,
  virtqueue_size: OWN_QUEUES,
  queue_reset: OWN_QUEUES,
  in_order: OWN_QUEUES,
  'modern-pio-notify': OWN_QUEUES,
  'disable-legacy': 'devices are virtio 1.x only',
  'disable-modern': 'devices are virtio 1.x only',
  iommu_platform: 'this version has no virtual IOMMU',
  ats: 'this version has no virtual IOMMU',
  aer: OWN_FEATURES,
  romfile: NO_ROM,
  rombar: NO_ROM,
  romsize: NO_ROM,
  failover_pair_id: OWN_FEATURES,
  'use-disabled-flag': OWN_FEATURES,
  'use-started': OWN_FEATURES,
  'x-*': OWN_FEATURES,
};

/** Properties of disks and their controllers. */
export const DISK_PROPERTIES: LeftOutSettings = {
  'write-cache': 'the guest flushes what must reach the disk',
  'config-wce': 'the guest flushes what must reach the disk',
  'share-rw': 'disks are always locked against other users',
  rotation_rate: OWN_FEATURES,
  scsi: OWN_FEATURES,
  'request-merging': OWN_FEATURES,
  'seg-max-adjust': OWN_FEATURES,
  discard: OWN_FEATURES,
  'write-zeroes': OWN_FEATURES,
  dpofua: OWN_FEATURES,
  min_io_size: OWN_FEATURES,
  opt_io_size: OWN_FEATURES,
  discard_granularity: OWN_FEATURES,
  max_sectors: OWN_FEATURES,
  cmd_per_lun: OWN_FEATURES,
  num_queues: OWN_QUEUES,
  werror: 'errors are reported to the guest',
  rerror: 'errors are reported to the guest',
  account: OWN_QUEUES,
  'account-*': OWN_QUEUES,
  'stats-intervals*': OWN_QUEUES,
  'scsi-id': AS_WRITTEN,
  lun: AS_WRITTEN,
  channel: AS_WRITTEN,
  unit: AS_WRITTEN,
  device_id: AS_WRITTEN,
  wwn: 'disks are identified by their serial numbers',
  port_wwn: 'disks are identified by their serial numbers',
  vendor: 'the disk model is fixed',
  product: 'the disk model is fixed',
  model: 'the disk model is fixed',
  ver: 'the disk model is fixed',
  cyls: 'disks are addressed by block',
  heads: 'disks are addressed by block',
  secs: 'disks are addressed by block',
};

/** Properties of network cards. */
export const NIC_PROPERTIES: LeftOutSettings = {
  mq: OWN_QUEUES,
  rx_queue_size: OWN_QUEUES,
  tx_queue_size: OWN_QUEUES,
  tx: OWN_QUEUES,
  host_mtu: 'set the MTU in the guest',
  speed: OWN_FEATURES,
  duplex: OWN_FEATURES,
  status: OWN_FEATURES,
  csum: OWN_FEATURES,
  gso: OWN_FEATURES,
  'guest_*': OWN_FEATURES,
  'host_*': OWN_FEATURES,
  'ctrl_*': OWN_FEATURES,
  mrg_rxbuf: OWN_FEATURES,
  rss: OWN_FEATURES,
  hash: OWN_FEATURES,
  failover: OWN_FEATURES,
  mitigation: OWN_FEATURES,
  vlan: 'each card has its own connection',
};

/** Properties of passed-through devices. */
export const VFIO_PROPERTIES: LeftOutSettings = {
  display: 'this version has no display',
  ramfb: 'this version has no display',
  driver: 'vring uses VFIO',
  'enable-migration': 'migration is not supported yet',
};
