/** A QEMU option for something that a guest needs and vring does not have. */
export type RefusedOption = {
  /** Whether a value follows it. */
  readonly value: boolean;
  /** What is missing, and what to do instead. */
  readonly instead: string;
};

const withValue = (instead: string): RefusedOption => ({ value: true, instead });
const alone = (instead: string): RefusedOption => ({ value: false, instead });

const NO_SHARE = 'shared folders are not supported yet: share files over the network, or on a disk';
const NO_SNAPSHOT = "QEMU's snapshots cannot be loaded: use vring vm snapshot and vring vm restore";

/** The options that are refused. */
export const REFUSED_OPTIONS: Readonly<Record<string, RefusedOption>> = {
  'no-kvm': alone('vring only runs on KVM: leave it out'),
  mtdblock: withValue(
    'no PC has flash memory that its guest finds as an MTD device: use -drive file=...,if=virtio',
  ),
  virtfs: withValue(NO_SHARE),
  fsdev: withValue(NO_SHARE),
  incoming: withValue('a VM arrives by vring vm migrate on its present host: leave it out'),
  loadvm: withValue(NO_SNAPSHOT),
  icount: withValue('guests run on KVM, at the speed of the CPU: leave it out'),
  acpitable: withValue('vring creates the ACPI tables itself: leave it out'),
  writeconfig: withValue('vring vm create NAME --dry-run -- OPTIONS prints a definition'),
  set: withValue('it is not supported: set the property in the -device'),
  'xen-domid': withValue('vring only runs on KVM: leave it out'),
  redir: withValue('use -nic user,hostfwd=tcp::2222-:22'),
  tftp: withValue('use -nic user,tftp=FOLDER,bootfile=FILE'),
  bootp: withValue('use -nic user,tftp=FOLDER,bootfile=FILE'),
  shim: withValue('the kernel is not checked by Secure Boot: leave it out'),
  smb: withValue('shared folders are not supported yet: share files over the network'),
  hdachs: withValue('disks are addressed by block: leave it out'),
  'prom-env': withValue('a PC has no Open Firmware: leave it out'),
  preconfig: alone('it is not supported: leave it out'),
  bt: withValue('Bluetooth is not supported: leave it out'),
};
