import { NO_SOUND, USB_CONTROLLERS } from './other-devices.ts';

/** A QEMU option that changes nothing for the guest: it is left out, and the user is informed. */
export type LeftOutOption = {
  /** Whether a value follows it. */
  readonly value: boolean;
  /** Why the guest does not need it, or what replaces it. */
  readonly reason: string;
};

const NO_DISPLAY = 'vring opens no windows: vring vm screen shows the screen, and VNC clients do (graphics)';
const NO_MONITOR = 'VMs are controlled with vring vm, or by the API (docs/api.md)';
const OWN_LOG = 'vring has its own log';
const OWN_USER = 'guests run as the user who started vring';
const TAKEN_AS_TOUCHED =
  'guest RAM is allocated when the guest first uses it; huge pages are reserved at the start';

/**
 * The value of such an option asks for nothing but what vring does: no monitor, no sound, no locked memory.
 */
export function asksForNothing(value: string): boolean {
  return /^((driver=)?none(,.*)?|(mem-lock|mlock|cpu-pm)=off)$/.test(value);
}

/** Options by the reason why they are left out. */
const GROUPS: readonly { reason: string; alone?: string; withValue?: string }[] = [
  {
    reason: NO_DISPLAY,
    alone: 'sdl curses full-screen no-frame alt-grab ctrl-grab no-quit show-cursor portrait',
    withValue: 'g rotate',
  },
  { reason: NO_MONITOR, withValue: 'qmp qmp-pretty monitor mon' },
  {
    reason: 'the guest does not see what a port is connected to',
    withValue: 'echr',
  },
  { reason: 'this version has no debugger interface', alone: 's', withValue: 'gdb' },
  { reason: 'a VM outlives its terminal with vring vm start, or vring run --detach', alone: 'daemonize' },
  { reason: 'VMs run as soon as they are started: use vring vm pause', alone: 'S' },
  { reason: 'vring keeps track of its processes: vring vm show has the pid', withValue: 'pidfile' },
  { reason: 'VMs that are off stay in the list', alone: 'no-shutdown' },
  { reason: OWN_LOG, withValue: 'd D trace msg dfilter' },
  { reason: OWN_USER, withValue: 'runas run-with chroot' },
  { reason: 'system calls are always filtered', withValue: 'sandbox' },
  { reason: 'guests always have ACPI', alone: 'no-acpi' },
  { reason: TAKEN_AS_TOUCHED, alone: 'mem-prealloc', withValue: 'overcommit realtime' },
  { reason: USB_CONTROLLERS, alone: 'usb' },
  { reason: NO_SOUND, withValue: 'audio audiodev soundhw' },
  { reason: 'a PC has no device tree', withValue: 'dtb' },
  { reason: 'vring finds its own files', withValue: 'L' },
  { reason: 'it only concerns the program that started QEMU', withValue: 'add-fd id iscsi' },
  {
    reason: 'only old versions of QEMU used it',
    alone: 'no-fd-bootchk win2k-hack rtc-td-hack tdf no-kvm-pit no-kvm-pit-reinjection no-kvm-irqchip',
  },
  {
    reason: 'it only changes how QEMU itself runs',
    alone: 'enable-sync-profile singlestep one-insn-per-tb async-teardown only-migratable',
    withValue: 'compat plugin tb-size kvm-shadow-memory',
  },
];

/** The options that are left out, and named. */
export const LEFT_OUT_OPTIONS: Readonly<Record<string, LeftOutOption>> = Object.fromEntries(
  GROUPS.flatMap(({ reason, alone = '', withValue = '' }) => [
    ...names(alone).map(name => [name, { value: false, reason }] as const),
    ...names(withValue).map(name => [name, { value: true, reason }] as const),
  ]),
);

function names(text: string): string[] {
  return text.split(' ').filter(name => name !== '');
}

/** `-global DRIVER.PROPERTY=VALUE` for these sets chips that have no such settings in vring. */
export const MACHINE_CHIPS =
  /^(ICH9-LPC|PIIX4_PM|piix4-pm|kvm-pit|kvm-apic|isa-fdc|hpet|mc146818rtc|fw_cfg|fw_cfg_mem|i440FX-pcihost|q35-pcihost|mch|cfi\.pflash01|isa-debugcon|pcspk|vmport|virtio-mmio|nec-usb-xhci|qemu-xhci|(qxl-|virtio-)?vga|VGA|pcie-root-port|migration|ICH9-SMB|ich9-ahci)$/i;
