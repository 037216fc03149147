/** An option of QEMU's that asks for something that a guest would miss. */
export type RefusedOption = {
  /** It is followed by a value. */
  readonly value: boolean;
  /** What the guest would miss, and what to do instead. */
  readonly instead: string;
};

const withValue = (instead: string): RefusedOption => ({ value: true, instead });
const alone = (instead: string): RefusedOption => ({ value: false, instead });

const NO_FLOPPY = 'there is no floppy drive: attach the image as a disk, with -drive file=...,if=virtio';
const NO_SHARE = 'there are no shared folders yet: share files over the network, or on a disk';
const NO_TPM = 'there is no TPM yet: leave it out';
const NO_SNAPSHOT = 'there are no snapshots of machines yet: leave it out';

/** The options that are refused. */
export const REFUSED_OPTIONS: Readonly<Record<string, RefusedOption>> = {
  snapshot: alone('make an overlay with qemu-img create -b, or a copy of the disk'),
  'no-kvm': alone('vring runs on KVM only: leave it out'),
  'no-acpi': alone('a guest always has ACPI: leave it out'),
  fda: withValue(NO_FLOPPY),
  fdb: withValue(NO_FLOPPY),
  sd: withValue('there is no SD card: use -drive file=...,if=virtio'),
  mtdblock: withValue('there is no flash memory: use -drive file=...,if=virtio'),
  'option-rom': withValue('devices have no option ROMs: leave it out'),
  soundhw: withValue('there is no sound card: leave it out'),
  virtfs: withValue(NO_SHARE),
  fsdev: withValue(NO_SHARE),
  incoming: withValue('there is no migration yet: leave it out'),
  loadvm: withValue(NO_SNAPSHOT),
  icount: withValue('guests run on KVM, at the speed of the CPU: leave it out'),
  watchdog: withValue('there is no watchdog yet: leave it out, and say on-crash: restart in the definition'),
  acpitable: withValue('a guest has the ACPI tables that vring makes: leave it out'),
  fw_cfg: withValue('there is no fw_cfg device yet: give the guest a disk with the data'),
  readconfig: withValue('give the options that the file has'),
  writeconfig: withValue('vring vm create NAME --dry-run -- OPTIONS prints a definition'),
  set: withValue('say it at the -device that it is for'),
  tpmdev: withValue(NO_TPM),
  'xen-domid': withValue('vring runs on KVM only: leave it out'),
  redir: withValue('use -nic user,hostfwd=tcp::2222-:22'),
  tftp: withValue('there is no network boot from a folder yet: leave it out'),
  bootp: withValue('there is no network boot from a folder yet: leave it out'),
  smb: withValue('there are no shared folders yet: share files over the network'),
  hdachs: withValue('disks are addressed by block: leave it out'),
  'prom-env': withValue('a PC has no Open Firmware: leave it out'),
  preconfig: alone('say it in the options: leave it out'),
  bt: withValue('there is no Bluetooth: leave it out'),
};
