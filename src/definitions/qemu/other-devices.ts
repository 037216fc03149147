/** QEMU devices that vring does not have: those that a guest does not need, and those that it does. */

type Kind = { readonly names: RegExp; readonly reason: string };

/** Why bridges without passed-through devices are left out. */
export const OWN_BUSES = 'vring creates bridges and controllers as devices need them';
/** Why old USB controllers are left out. */
export const USB_CONTROLLERS = 'USB devices are on an xHCI controller, which vring creates for them';
const NO_INPUT = 'the guest has a PS/2 keyboard and mouse';
/** Why sound cards are left out. */
export const NO_SOUND = 'this version has no sound';
const NO_CHANNEL = 'it is a channel to a host program, such as a management agent';

/** Guests work as well without them. */
const LEFT_OUT: readonly Kind[] = [
  {
    names:
      /^(pcie-root-port|ioh3420|pcie-pci-bridge|pci-bridge|i82801b11-bridge|pcie-switch-(up|down)stream-port|x3130-upstream|xio3130-downstream|pxb|pxb-pcie)$/,
    reason: OWN_BUSES,
  },
  { names: /^(piix4-ide|piix3-ide-xen|isa-ide)$/, reason: OWN_BUSES },
  {
    names: /^((ich9-|piix[34]-)?usb-[eu]hci[0-9-]*|ich9-usb-(ehci[12]|uhci[1-6])|pci-ohci|usb-hub)$/,
    reason: USB_CONTROLLERS,
  },
  {
    names: /^(virtio-input-host(-pci)?|vmmouse|i8042|isa-vmmouse)$/,
    reason: NO_INPUT,
  },
  { names: /^virtio-serial(-pci|-pci-non-transitional|-pci-transitional|-device)?$/, reason: OWN_BUSES },
  { names: /^(virtserialport|spicevmc|usb-redir|usb-ccid|ccid-card-.*)$/, reason: NO_CHANNEL },
  {
    names:
      /^(intel-hda|ich9-intel-hda|hda-.*|AC97|ES1370|sb16|adlib|gus|cs4231a|usb-audio|virtio-sound(-pci|-device)?)$/i,
    reason: NO_SOUND,
  },
  { names: /^nvme-subsys$/, reason: 'each NVMe controller is a subsystem of its own' },
  { names: /^vmcoreinfo$/, reason: 'it only concerns memory dumps' },
  { names: /^vmgenid$/, reason: 'this version has no generation ID' },
  { names: /^(hyperv-testdev|pc-testdev|pci-testdev|edu)$/, reason: 'it is a test device of QEMU' },
  { names: /^generic-sdhci$/, reason: 'it only concerns firmware' },
  { names: /^i8254$/, reason: 'every guest has one' },
];

/** Display adapters that guests get another one for: the value of `display`, and what the user is told. */
const OTHER_ADAPTERS = [
  {
    names: /^((cirrus|qxl|ati)-vga|vmware-svga|qxl)$/,
    display: 'vga',
    reason: 'the guest gets a standard VGA instead',
  },
  { names: /^virtio-vga-(gl|rutabaga)$/, display: 'virtio', reason: 'the guest gets one without 3D instead' },
  {
    names: /^virtio-gpu-(gl|rutabaga)(-pci|-device)?$/,
    display: 'virtio-gpu',
    reason: 'the guest gets one without 3D instead',
  },
] as const;

/** Absolute pointing devices, which QEMU's USB tablet replaces. */
const OTHER_TABLETS = /^usb-wacom-tablet$/;

/** Guests need them. */
const REFUSED: readonly Kind[] = [
  {
    names: /^(secondary-vga|ramfb|isa-(vga|cirrus-vga))$/i,
    reason: 'this graphics card is not supported: use -device VGA',
  },
  {
    names: /^(usb-.*|u2f-.*)$/,
    reason: 'this USB device is not supported: vring has usb-kbd, usb-mouse, usb-tablet and usb-storage',
  },
  { names: /^tpm-.*$/, reason: 'this TPM is not one of a PC: use -device tpm-tis or tpm-crb' },
  { names: /^(ib700|diag288)$/, reason: 'this watchdog is not supported: use -device i6300esb' },
  {
    names: /^(intel-iommu|amd-iommu|virtio-iommu.*)$/,
    reason: 'virtual IOMMUs are not supported yet: leave it out',
  },
  {
    names: /^(virtio-9p|vhost-user-fs|virtio-fs).*$/,
    reason: 'shared folders are not supported yet: share files over the network, or on a disk',
  },
  {
    names: /^(guest-)?loader$/,
    reason: 'nothing but a kernel, its initrd and modules is put into guest memory: use -initrd or -fw_cfg',
  },
  {
    names: /^(lsi.*|am53c974|dc390|megasas.*|mptsas.*|pvscsi)$/,
    reason: 'this SCSI controller is not supported: use -device virtio-scsi-pci',
  },
  {
    names: /^(scsi-(block|generic)|vhost-scsi.*|vhost-user-(blk|scsi).*)$/,
    reason: 'such disks are not supported: use -device virtio-blk-pci',
  },
  {
    names: /^(vhost-vsock|vhost-user-vsock).*$/,
    reason:
      'sockets between guest and host (vsock) are not supported yet: use the network, or -device virtserialport',
  },
  { names: /^pci-serial.*$/, reason: 'serial ports are on the ISA bus: use -serial' },
  { names: /^(cxl-.*|pxb-cxl)$/, reason: 'CXL is not supported: leave it out' },
  {
    names: /^((isa|pci|smbus)-ipmi.*|ipmi-bmc-.*)$/,
    reason: 'there is no management controller (IPMI): leave it out',
  },
  {
    names: /^(pc-dimm|nvdimm|virtio-(mem|pmem).*)$/,
    reason: '-m sets the size of guest RAM: leave it out',
  },
  {
    names: /^(isa-applesmc)$/,
    reason: "Apple's System Management Controller is not supported: this version does not boot macOS",
  },
  {
    names: /^(i82(550|557[ac]|558[ab]|559[abc]|562|801)|tulip|sungem|usb-net|rocker)$/,
    reason: 'this network card is not supported: use virtio-net-pci or e1000',
  },
  { names: /^virtio-multitouch.*$/, reason: 'touch screens are not supported: use -device usb-tablet' },
  { names: /^ivshmem.*$/, reason: 'memory shared between guests is not supported: leave it out' },
  {
    names: /^(virtio-crypto|vhost-vdpa|sgx-epc).*$/,
    reason: 'this version has no such device: leave it out',
  },
];

/** The display adapter that a guest gets in place of another; undefined if there is nothing to replace. */
export function otherAdapter(driver: string): (typeof OTHER_ADAPTERS)[number] | undefined {
  return OTHER_ADAPTERS.find(({ names }) => names.test(driver));
}

/** Whether a guest gets a USB tablet in place of a device. */
export function isOtherTablet(driver: string): boolean {
  return OTHER_TABLETS.test(driver);
}

/** Why a guest does not need a device; null for all others. */
export function leftOutDevice(driver: string): string | null {
  return LEFT_OUT.find(({ names }) => names.test(driver))?.reason ?? null;
}

/** Why a device is refused, and what to do instead; null if unknown. */
export function refusedDevice(driver: string): string | null {
  return REFUSED.find(({ names }) => names.test(driver))?.reason ?? null;
}
