import { always, alwaysOff, alwaysOn, type LeftOutSettings } from './settings.ts';

const PLACE = 'vring has no such bus: the slot follows from the order of the devices';
const OWN_QUEUES = 'vring chooses how data is transferred';
const NO_ROM = 'network cards have option ROMs, other devices have none';
const OWN_FEATURES = 'vring chooses the features of its devices';
const OLDER_QEMU = 'it only concerns older versions of QEMU';
const BY_BLOCK = 'disks are addressed by block';
const BY_MEDIUM = 'the type of a floppy drive follows from its disk';
const AS_WRITTEN = 'disks are numbered in the order of their options';

/** Properties of any device that a guest does not need. */
export const ANY_DEVICE: LeftOutSettings = {
  addr: PLACE,
  bus: PLACE,
  multifunction: alwaysOff(PLACE),
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
  'disable-legacy': alwaysOn('devices are virtio 1.x only'),
  'disable-modern': alwaysOff('devices are virtio 1.x only'),
  iommu_platform: alwaysOff('this version has no virtual IOMMU'),
  ats: alwaysOff('this version has no virtual IOMMU'),
  aer: alwaysOff(OWN_FEATURES),
  romfile: always(NO_ROM, ''),
  rombar: always(NO_ROM, '0', 'off'),
  romsize: NO_ROM,
  failover_pair_id: OWN_FEATURES,
  'use-disabled-flag': OWN_FEATURES,
  'use-started': OWN_FEATURES,
  any_layout: OWN_FEATURES,
  seg_max_adjust: OWN_FEATURES,
  notify_on_empty: OWN_FEATURES,
  'virtio-*': OWN_FEATURES,
  'migrate-*': OLDER_QEMU,
  'migrate_*': OLDER_QEMU,
  busnr: PLACE,
  'x-*': OWN_FEATURES,
};

/** Properties of disks and their controllers. */
export const DISK_PROPERTIES: LeftOutSettings = {
  'write-cache': 'the guest flushes what must reach the disk',
  'config-wce': 'the guest flushes what must reach the disk',
  'share-rw': alwaysOff('disks are always locked against other users'),
  rotation_rate: OWN_FEATURES,
  scsi: alwaysOff(OWN_FEATURES),
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
  cyls: BY_BLOCK,
  heads: BY_BLOCK,
  secs: BY_BLOCK,
  lcyls: BY_BLOCK,
  lheads: BY_BLOCK,
  lsecs: BY_BLOCK,
  'bios-chs-trans': BY_BLOCK,
  backend_defaults: OWN_FEATURES,
  class: OWN_FEATURES,
  'max-discard-sectors': OWN_FEATURES,
  'max-write-zeroes-sectors': OWN_FEATURES,
  'report-discard-granularity': OWN_FEATURES,
  max_io_size: OWN_FEATURES,
  max_unmap_size: OWN_FEATURES,
  port_index: 'disks are identified by their serial numbers',
  'quirk_*': OLDER_QEMU,
  scsi_version: always('SCSI disks follow SPC-3', '5'),
  'win2k-install-hack': alwaysOff('it only concerns the installer of Windows 2000'),
  'drive-type': BY_MEDIUM,
};

const OWN_LIMITS = 'vring chooses the limits of its controllers';
const PLAIN_NAMESPACES = 'namespaces have blocks and nothing else';

/** Properties of NVMe controllers and their namespaces. */
export const NVME_PROPERTIES: LeftOutSettings = {
  aerl: OWN_LIMITS,
  aer_max_queued: OWN_LIMITS,
  mdts: OWN_LIMITS,
  vsl: OWN_LIMITS,
  zasl: OWN_LIMITS,
  num_queues: OWN_LIMITS,
  msix_qsize: OWN_LIMITS,
  'msix-exclusive-bar': OWN_LIMITS,
  oncs: OWN_FEATURES,
  dbcs: OWN_FEATURES,
  'ctratt.mem': OWN_FEATURES,
  mqes: OWN_LIMITS,
  ocp: OWN_FEATURES,
  smart_critical_warning: always('the controller is healthy', '0'),
  spdm_port: OWN_FEATURES,
  'use-intel-id': alwaysOff(OWN_FEATURES),
  'legacy-cmb': OWN_FEATURES,
  cmb_size_mb: always('there is no controller memory buffer', '0'),
  pmrdev: 'there is no persistent memory region',
  subsys: 'each controller is a subsystem of its own',
  shared: 'a namespace belongs to one controller',
  detached: alwaysOff(PLAIN_NAMESPACES),
  'sriov_*': always('the controller has no virtual functions', '0'),
  'zoned*': alwaysOff('vring has no zoned namespaces'),
  'fdp*': PLAIN_NAMESPACES,
  'atomic*': PLAIN_NAMESPACES,
  'eui64-default': alwaysOff('a namespace has a UUID'),
  ms: always(PLAIN_NAMESPACES, '0'),
  mset: PLAIN_NAMESPACES,
  pi: always(PLAIN_NAMESPACES, '0'),
  pif: always(PLAIN_NAMESPACES, '0'),
  pil: PLAIN_NAMESPACES,
  mssrl: OWN_LIMITS,
  mcl: OWN_LIMITS,
  msrc: OWN_LIMITS,
};

/** Properties of network cards. */
export const NIC_PROPERTIES: LeftOutSettings = {
  mq: OWN_QUEUES,
  rx_queue_size: OWN_QUEUES,
  tx_queue_size: OWN_QUEUES,
  tx: OWN_QUEUES,
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
  extra_mac_registers: OWN_FEATURES,
  'init-vet': OWN_FEATURES,
  disable_vnet_hdr: OWN_FEATURES,
  subsys: OWN_FEATURES,
  subsys_ven: OWN_FEATURES,
  rsc_interval: OWN_FEATURES,
  'ebpf-*': OWN_FEATURES,
};

const OWN_CONTROLLER = 'vring chooses the features of its controllers';
const BY_ORDER = 'the order of -boot says when the firmware tries floppies';
const OF_A_PC = 'the floppy controller is where every PC has it';
const NO_BLOBS = 'the screen has no memory that guest and host share';

const SCREEN: LeftOutSettings = {
  blob: alwaysOff(NO_BLOBS),
  hostmem: always(NO_BLOBS, '0'),
  max_outputs: always('a guest has one screen', '1'),
  refresh_rate: OWN_FEATURES,
  xmax: OWN_FEATURES,
  ymax: OWN_FEATURES,
  mmio: OWN_FEATURES,
  'qemu-extended-regs': OWN_FEATURES,
  'big-endian-framebuffer': alwaysOff('frame buffers are little endian'),
};

const USB_CONTROLLER: LeftOutSettings = {
  intrs: OWN_CONTROLLER,
  slots: OWN_CONTROLLER,
  'conditional-intr-mapping': OWN_CONTROLLER,
  'xhci-core': OWN_CONTROLLER,
  host: OWN_CONTROLLER,
};

const USB_DEVICE: LeftOutSettings = {
  attached: alwaysOn('a device is there from the start'),
  head: 'a guest has one screen',
  commandlog: 'what is sent is not recorded',
  pcap: 'what is sent is not recorded',
  'msos-desc': 'it is a device of full speed',
};

/** Properties of single devices, by the type of their row. */
export const OWN_PROPERTIES: Readonly<Record<string, LeftOutSettings>> = {
  vga: SCREEN,
  'virtio-vga': SCREEN,
  'virtio-gpu': SCREEN,
  'qemu-xhci': USB_CONTROLLER,
  'usb-kbd': USB_DEVICE,
  'usb-mouse': USB_DEVICE,
  'usb-tablet': USB_DEVICE,
  'usb-storage': USB_DEVICE,
  'sdhci-pci': {
    capareg: OWN_CONTROLLER,
    endianness: OWN_CONTROLLER,
    maxcurr: OWN_CONTROLLER,
    'sd-spec-version': OWN_CONTROLLER,
    uhs: OWN_CONTROLLER,
    vendor: OWN_CONTROLLER,
  },
  'virtio-balloon': { 'guest-stats': OWN_FEATURES, 'qemu-4-0-config-size': OLDER_QEMU },
  'vfio-pci': { xres: 'its display is not shown', yres: 'its display is not shown' },
  pvpanic: { events: 'it reports every kind of event' },
  'pvpanic-pci': { events: 'it reports every kind of event' },
  'isa-serial': { baudbase: OWN_FEATURES, wakeup: alwaysOff(OWN_FEATURES) },
  'isa-fdc': {
    bootindexA: BY_ORDER,
    bootindexB: BY_ORDER,
    fdtypeA: BY_MEDIUM,
    fdtypeB: BY_MEDIUM,
    fallback: BY_MEDIUM,
    iobase: always(OF_A_PC, '0x3f0', '1008'),
    irq: always(OF_A_PC, '6'),
    dma: always(OF_A_PC, '2'),
  },
  'isa-debugcon': { readback: always('a read returns 0xe9', '0xe9', '233') },
  'isa-parallel': { index: 'parallel ports are numbered in their order' },
};

export const OF_SCREEN = 'a guest has one screen';

/** The place of a USB device, and what only QEMU has. */
export const USB_PLACE = {
  bus: 'it is on the first USB controller',
  port: 'it is on any port that is free',
  usb_version: 'it is a device of full speed',
  display: OF_SCREEN,
  pcap: 'what is sent is not recorded',
  'full-path': 'it only concerns migration',
  serial: 'such devices are not told apart by serial numbers',
  'msos-desc': 'it is a device of full speed',
};
