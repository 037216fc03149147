/** Devices of QEMU's that vring does not have: those that a guest does not miss, and those that it would. */

type Kind = { readonly names: RegExp; readonly reason: string };

const OWN_BUSES = 'vring creates bridges and controllers as devices need them';
const NO_INPUT = 'it is an input device for a screen, which this version does not have';
const NO_CHANNEL = 'it is a channel to a program on the host, such as a management agent';

/** A guest works as well without them. */
const LEFT_OUT: readonly Kind[] = [
  {
    names:
      /^(pcie-root-port|ioh3420|pcie-pci-bridge|pci-bridge|i82801b11-bridge|pcie-switch-(up|down)stream-port|x3130-upstream|xio3130-downstream|pxb|pxb-pcie)$/,
    reason: OWN_BUSES,
  },
  { names: /^(ahci|ich9-ahci|piix[34]-ide|piix3-ide-xen|isa-ide)$/, reason: OWN_BUSES },
  {
    names:
      /^((nec-usb|qemu)-xhci|(ich9-|piix[34]-)?usb-[eu]hci[0-9-]*|ich9-usb-(ehci1|uhci[1-6])|pci-ohci|usb-hub)$/,
    reason: 'this version has no USB, and nothing the guest would miss is plugged into it',
  },
  {
    names:
      /^(usb-(tablet|mouse|kbd|wacom-tablet)|virtio-(tablet|keyboard|mouse)(-pci|-device)?|virtio-input-host(-pci)?|vmmouse|i8042|isa-vmmouse)$/,
    reason: NO_INPUT,
  },
  { names: /^virtio-serial(-pci|-pci-non-transitional|-pci-transitional|-device)?$/, reason: OWN_BUSES },
  { names: /^(virtserialport|spicevmc|usb-redir|usb-ccid|ccid-card-.*)$/, reason: NO_CHANNEL },
  { names: /^(pvpanic|pvpanic-pci|vmcoreinfo)$/, reason: 'it tells the host about a crash of the guest' },
  { names: /^vmgenid$/, reason: 'there are no snapshots of machines yet' },
  { names: /^(hyperv-testdev|pc-testdev|pci-testdev|edu)$/, reason: "it is a test device of QEMU's own" },
  { names: /^isa-debugcon$/, reason: 'what a guest writes to port 0x402 is on its console' },
  { names: /^(loader|generic-sdhci)$/, reason: 'it is for firmware' },
];

/** A guest would miss them. */
const REFUSED: readonly Kind[] = [
  {
    names:
      /^(VGA|secondary-vga|cirrus-vga|qxl(-vga)?|vmware-svga|bochs-display|ramfb|ati-vga|isa-(vga|cirrus-vga)|virtio-(vga|gpu).*)$/i,
    reason: 'there is no graphics card yet: leave it out, and use the serial console, with console=ttyS0',
  },
  { names: /^(usb-.*|u2f-.*)$/, reason: 'there is no USB yet: leave it out' },
  {
    names: /^(intel-hda|ich9-intel-hda|hda-.*|AC97|ES1370|sb16|adlib|gus|cs4231a|virtio-sound.*)$/i,
    reason: 'there is no sound card: leave it out',
  },
  { names: /^tpm-.*$/, reason: 'there is no TPM yet: leave it out' },
  { names: /^(i6300esb|ib700|diag288)$/, reason: 'there is no watchdog yet: leave it out' },
  {
    names: /^(intel-iommu|amd-iommu|virtio-iommu.*)$/,
    reason: 'there is no IOMMU in a guest yet: leave it out',
  },
  {
    names: /^(virtio-9p|vhost-user-fs|virtio-fs).*$/,
    reason: 'there are no shared folders yet: share files over the network, or on a disk',
  },
  { names: /^nvme.*$/, reason: 'there are no NVMe disks yet: use -device virtio-blk-pci' },
  {
    names: /^(lsi.*|am53c974|dc390|megasas.*|mptsas.*|pvscsi)$/,
    reason: 'there is no such SCSI controller: use -device virtio-scsi-pci',
  },
  {
    names: /^(scsi-(block|generic)|vhost-scsi.*|vhost-user-(blk|scsi|vsock).*)$/,
    reason: 'there are no such disks: use -device virtio-blk-pci',
  },
  {
    names: /^(floppy|isa-fdc)$/,
    reason: 'there is no floppy drive: attach the image as a disk, with -drive file=...,if=virtio',
  },
  { names: /^(vhost-vsock|vhost-user-vsock).*$/, reason: 'there is no vsock yet: use the network' },
  { names: /^(pci-serial.*|isa-parallel)$/, reason: 'a guest has one serial port, COM1: leave it out' },
  {
    names: /^(pc-dimm|nvdimm|virtio-(mem|pmem).*|cxl-.*)$/,
    reason: 'guest RAM is what -m says: leave it out',
  },
  {
    names: /^(isa-applesmc)$/,
    reason: "there is no System Management Controller of Apple's: macOS does not boot in this version",
  },
  {
    names: /^(ne2k_(pci|isa)|pcnet|i8255\d.*|tulip|sungem|usb-net|rocker)$/,
    reason: 'there is no such network card: use virtio-net-pci or e1000',
  },
  { names: /^ivshmem.*$/, reason: 'there is no memory shared between guests: leave it out' },
  {
    names: /^(virtio-crypto|virtio-iommu|vhost-vdpa|sgx-epc).*$/,
    reason: 'there is no such device in this version: leave it out',
  },
];

/** Why a guest does not miss a device; null for another one. */
export function leftOutDevice(driver: string): string | null {
  return LEFT_OUT.find(({ names }) => names.test(driver))?.reason ?? null;
}

/** What a guest would miss without a device, and what to do instead; null for one that nobody knows. */
export function refusedDevice(driver: string): string | null {
  return REFUSED.find(({ names }) => names.test(driver))?.reason ?? null;
}
