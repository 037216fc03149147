/** An option of QEMU's that vring does not have. */
export type RefusedOption = {
  /** It is followed by a value. */
  readonly value: boolean;
  /** What to do instead. */
  readonly instead: string;
};

const withValue = (instead: string): RefusedOption => ({ value: true, instead });
const alone = (instead: string): RefusedOption => ({ value: false, instead });

const NO_SCREEN =
  'a guest has no screen: use its serial console, with console=ttyS0 on its kernel command line';
const NO_USB = 'there is no USB: leave it out';
const NO_FLOPPY = 'there is no floppy drive: attach the image as a disk, with -drive file=...,if=virtio';
const OWN_FIRMWARE = 'vring brings its own firmware: say machine: {firmware: uefi} in the definition';

/** What of QEMU's options vring does not have, and what there is in its place. */
export const REFUSED_OPTIONS: Readonly<Record<string, RefusedOption>> = {
  daemonize: alone('VMs outlive the terminal anyway: start it with vring vm start, or vring run --detach'),
  S: alone('start it and pause it with vring vm pause'),
  snapshot: alone('make an overlay with qemu-img create -b, or a copy of the disk'),
  usb: alone(NO_USB),
  sdl: alone(NO_SCREEN),
  curses: alone(NO_SCREEN),
  'full-screen': alone(NO_SCREEN),
  s: alone('there is no debugger interface: leave it out'),
  'no-shutdown': alone('a VM that is off stays in the list: leave it out'),
  'no-acpi': alone('a guest always has ACPI: leave it out'),
  'mem-prealloc': alone('say memory: {hugepages: 2M} in the definition'),
  'no-fd-bootchk': alone('leave it out'),
  vnc: withValue(NO_SCREEN),
  spice: withValue(NO_SCREEN),
  usbdevice: withValue(NO_USB),
  fda: withValue(NO_FLOPPY),
  fdb: withValue(NO_FLOPPY),
  sd: withValue('there is no SD card: use -drive file=...,if=virtio'),
  mtdblock: withValue('there is no flash memory: use -drive file=...,if=virtio'),
  bios: withValue(OWN_FIRMWARE),
  pflash: withValue(OWN_FIRMWARE),
  L: withValue(OWN_FIRMWARE),
  'mem-path': withValue('say memory: {hugepages: 2M} in the definition'),
  blockdev: withValue('use -drive file=...,if=none,id=...'),
  audio: withValue('there is no sound: leave it out'),
  audiodev: withValue('there is no sound: leave it out'),
  soundhw: withValue('there is no sound: leave it out'),
  virtfs: withValue('there are no shared folders yet: share files over the network, or on a disk'),
  fsdev: withValue('there are no shared folders yet: share files over the network, or on a disk'),
  chardev: withValue('the console is COM1: see it with vring vm console'),
  parallel: withValue('there is no parallel port: leave it out'),
  qmp: withValue('the API is a socket of its own: see docs/api.md'),
  'qmp-pretty': withValue('the API is a socket of its own: see docs/api.md'),
  gdb: withValue('there is no debugger interface: leave it out'),
  pidfile: withValue('all VMs have one process: vring vm list knows them'),
  runas: withValue('leave it out: a guest runs as who owns vring'),
  'run-with': withValue('leave it out'),
  chroot: withValue('leave it out'),
  global: withValue('say it for each -device'),
  set: withValue('say it for each -device'),
  incoming: withValue('there is no migration: leave it out'),
  loadvm: withValue('there are no snapshots of machines: leave it out'),
  rtc: withValue('the clock of a guest is in UTC and follows the host: leave it out'),
  icount: withValue('leave it out: guests run on KVM'),
  overcommit: withValue('say memory: {hugepages: 2M} in the definition, to have all of its memory at once'),
  numa: withValue('a guest has one NUMA node: leave it out'),
  watchdog: withValue('there is no watchdog: say on-crash: restart in the definition'),
  action: withValue('say on-crash: restart, or on-reboot: stop, in the definition'),
  uuid: withValue('leave it out: a VM is known by its name'),
  smbios: withValue('there are no SMBIOS tables: leave it out'),
  acpitable: withValue('leave it out'),
  fw_cfg: withValue('give the guest a disk with the data'),
  dtb: withValue('leave it out: a PC has none'),
  D: withValue("vring's messages are in its own log: leave it out"),
  d: withValue("vring's messages are in its own log: leave it out"),
  trace: withValue('leave it out'),
  readconfig: withValue('give the options themselves'),
  tpmdev: withValue('there is no TPM: leave it out'),
  k: withValue(NO_SCREEN),
};
