import { likely } from '../../text/nearest.ts';
import { isClockStart } from '../../vmm/machine/clock-start.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { USB_INPUTS } from '../fields/inputs.ts';
import { plainName } from '../plain-name.ts';
import { shown } from '../words.ts';
import { readBlockdev } from './blockdevs.ts';
import { readChardev } from './chardevs.ts';
import { readCpu, readSmp } from './cpus.ts';
import { readDevice } from './devices.ts';
import type { Draft, Place } from './draft.ts';
import { addNamedDisk, readDrive } from './drives.ts';
import { OptionError } from './error.ts';
import { readBios, readFwCfg, readOptionRom, readPflash } from './firmware.ts';
import { readGlobal } from './globals.ts';
import { LEFT_OUT_OPTIONS } from './left-out.ts';
import { readAccelerators, readBoot, readInitrd, readKernel, readMachine } from './machine.ts';
import { readMemory } from './memory.ts';
import { readNet, readNetdev, readNic } from './nic-options.ts';
import { readNuma } from './numa.ts';
import { readObject } from './objects.ts';
import { REFUSED_OPTIONS } from './refused.ts';
import { readSmbios, readUuid } from './smbios.ts';
import { readTpmdev } from './tpm.ts';
import { readKeyboard, readSpice, readVnc } from './vnc.ts';
import { watchdogAction, watchdogEntry } from './watchdog.ts';

/** A QEMU option that vring uses. */
export type QemuOption = {
  /** Its value, as in QEMU's manual; absent for a switch. */
  readonly value?: string;
  /** What it becomes, for the documentation. */
  readonly becomes: string;
  /** Whether every occurrence counts; otherwise only the last does. */
  readonly repeats?: true;
  /** Whether it is read after all others, since it refers to them. */
  readonly late?: true;
  /** @throws OptionError */
  readonly read: (draft: Draft, value: string, place: Place) => void;
};

/** What vring does in any case. */
function already(becomes: string): QemuOption {
  return { becomes, repeats: true, read: () => {} };
}

const hardDisk = (index: number): QemuOption => ({
  value: 'FILE',
  becomes: 'a disk with bus: ide',
  read: (draft, file, place) => addNamedDisk(draft, place, file, { bus: 'ide', index }),
});

const floppyDrive = (index: number): QemuOption => ({
  value: 'FILE',
  becomes: 'a disk with bus: floppy',
  read: (draft, file, place) => addNamedDisk(draft, place, file, { bus: 'floppy', index }),
});

/** Why options for the host's display are left out. */
const NO_SCREEN = 'vring opens no windows: vring vm screen shows the screen, and VNC clients do (graphics)';

/** The options that vring uses. */
export const QEMU_OPTIONS: Readonly<Record<string, QemuOption>> = {
  name: { value: '[guest=]NAME', becomes: 'name', repeats: true, read: readName },
  m: { value: '[size=]SIZE', becomes: 'memory; a bare number is in MiB', repeats: true, read: readMemory },
  smp: {
    value: '[cpus=]N[,maxcpus=][,sockets=,cores=,threads=]',
    becomes: 'cpus.count, cpus.maxcpus, cpus.topology',
    read: readSmp,
  },
  cpu: {
    value: 'host|MODEL[,+FEATURE][,-FEATURE][,kvm=off][,enforce]',
    becomes: 'cpus.model, cpus.features, cpus.hide-hypervisor, cpus.enforce',
    read: readCpu,
  },
  machine: {
    value: 'q35|pc|...[,accel=kvm][,mem-merge=on][,memory-backend=ID]',
    becomes: 'memory.mergeable; every machine is a PC like q35',
    repeats: true,
    read: readMachine,
  },
  kernel: {
    value: 'FILE',
    becomes: 'machine.kernel; a multiboot kernel has a VGA, as in QEMU',
    read: readKernel,
  },
  initrd: {
    value: 'FILE',
    becomes: 'machine.initrd; for a multiboot kernel, machine.modules: `FILE ARGUMENTS,FILE ARGUMENTS`',
    late: true,
    read: readInitrd,
  },
  append: {
    value: 'TEXT',
    becomes: 'machine.append',
    read: (draft, append) => {
      draft.fields.machine = { ...draft.fields.machine, append };
    },
  },
  bios: {
    value: 'FILE',
    becomes:
      'machine.firmware, by the name of the file, and machine.firmware-file; with a kernel it boots that',
    late: true,
    read: readBios,
  },
  pflash: {
    value: 'FILE',
    becomes:
      'machine.firmware: uefi; the first is machine.firmware-file, the second machine.firmware-variables',
    repeats: true,
    read: readPflash,
  },
  drive: {
    value:
      'file=FILE|fat:FOLDER,if=virtio|scsi|ide|floppy|sd|none|pflash[,format=,media=,readonly=,snapshot=,cache=,serial=,index=,id=,throttling.iops-total=,throttling.bps-total=,...-max=]',
    becomes: 'a disk; with if=none, by the -device that names it; with if=pflash, as with -pflash',
    repeats: true,
    read: readDrive,
  },
  snapshot: {
    becomes: 'transient: true of every disk that the guest could write to, but for those of -blockdev',
    repeats: true,
    read: draft => {
      draft.allTransient = true;
    },
  },
  blockdev: {
    value: 'file|raw|qcow2|vvfat|...,node-name=NODE[,filename=,file=,dir=,read-only=]',
    becomes: 'a disk, by the -device that names it',
    repeats: true,
    read: readBlockdev,
  },
  sd: {
    value: 'FILE',
    becomes: 'an SD card',
    repeats: true,
    read: (draft, file, place) => addNamedDisk(draft, place, file, { bus: 'sd' }),
  },
  fda: floppyDrive(0),
  fdb: floppyDrive(1),
  hda: hardDisk(0),
  hdb: hardDisk(1),
  hdc: hardDisk(2),
  hdd: hardDisk(3),
  cdrom: {
    value: 'FILE',
    becomes: 'a disk with cdrom: true',
    read: (draft, file, place) => addNamedDisk(draft, place, file, { bus: 'ide', cdrom: true, index: 2 }),
  },
  nic: {
    value: 'user|tap|bridge|passt|hubport|none[,model=,mac=,...]',
    becomes: 'a network card',
    repeats: true,
    read: readNic,
  },
  net: {
    value: 'nic[,model=,macaddr=,vectors=,vlan=,netdev=] | user|tap|bridge|passt[,vlan=,...]',
    becomes: 'a network card; all with the same vlan= (0 if absent) are connected by a hub',
    repeats: true,
    late: true,
    read: readNet,
  },
  netdev: {
    value:
      'user|tap|bridge|passt|hubport,id=ID[,hostfwd=,ifname=,br=,queues=,vhost=,script=,hubid=,netdev=,...]',
    becomes: 'the network of the -device that names it',
    repeats: true,
    read: readNetdev,
  },
  object: {
    value:
      'memory-backend-ram|-memfd|-file,id=,size=[,hugetlb=,mem-path=,merge=] | rng-random|rng-builtin,id= | iommufd,id= | throttle-group,id=[,limits.iops-total=,...]',
    becomes:
      'memory, by the -machine or -numa that names it; random bytes come from the host; iommufd, by the -device that names it; limits, of the disk whose -blockdev throttle names it',
    repeats: true,
    read: readObject,
  },
  numa: {
    value: 'node[,cpus=FIRST-LAST][,memdev=ID|,mem=SIZE] | dist,src=,dst=,val=',
    becomes: 'numa; memory, with memdev=',
    repeats: true,
    read: readNuma,
  },
  'mem-path': {
    value: 'FOLDER',
    becomes: 'memory.hugepages, if it is a hugetlbfs',
    read: (draft, path, place) => {
      draft.memoryPlaces.push({ ...place, path });
    },
  },
  device: {
    value: 'NAME[,PROPERTY=VALUE...]',
    becomes: 'see the devices below',
    repeats: true,
    late: true,
    read: readDevice,
  },
  boot: { value: '[order=]LETTERS[,once=LETTERS]', becomes: 'boot', repeats: true, read: readBoot },
  'no-reboot': {
    becomes: 'on-reboot: stop',
    repeats: true,
    read: draft => {
      draft.fields['on-reboot'] = 'stop';
    },
  },
  watchdog: {
    value: 'i6300esb',
    becomes: 'a device',
    read: (draft, model, place) => draft.addDevice(place, watchdogEntry(model)),
  },
  'watchdog-action': {
    value: 'reset|shutdown|poweroff|pause|none|debug',
    becomes: '`action` of the watchdog',
    read: (draft, name) => {
      draft.watchdogAction = watchdogAction(name);
    },
  },
  action: {
    value: 'reboot=reset|shutdown,watchdog=ACTION,...',
    becomes: 'on-reboot, `action` of the watchdog',
    repeats: true,
    read: readAction,
  },
  rtc: {
    value: 'base=utc|localtime|YYYY-MM-DD[THH:MM:SS][,clock=host]',
    becomes: 'machine.clock',
    read: readRtc,
  },
  localtime: {
    becomes: 'machine.clock: localtime',
    repeats: true,
    read: draft => {
      draft.fields.machine = { ...draft.fields.machine, clock: 'localtime' };
    },
  },
  chardev: {
    value: 'null|stdio|pty|file|socket,id=...',
    becomes: 'what `serial` and `channels` are connected to',
    repeats: true,
    read: readChardev,
  },
  tpmdev: {
    value: 'emulator,id=ID,chardev=ID',
    becomes: 'tpm, with the -device that refers to it',
    repeats: true,
    read: readTpmdev,
  },
  serial: {
    value: 'stdio|null|pty|file:PATH|unix:PATH|tcp:HOST:PORT|chardev:ID',
    becomes: 'serial',
    repeats: true,
    read: (draft, value, place) => {
      draft.serialPorts.push({ ...place, value });
    },
  },
  parallel: {
    value: 'stdio|null|pty|file:PATH|unix:PATH|tcp:HOST:PORT|chardev:ID|none',
    becomes: 'parallel',
    repeats: true,
    read: (draft, value, place) => {
      draft.parallelPorts.push({ ...place, value });
    },
  },
  debugcon: {
    value: 'stdio|null|pty|file:PATH|unix:PATH|tcp:HOST:PORT|chardev:ID',
    becomes: 'a device isa-debugcon, at port 0xe9 unless -global isa-debugcon.iobase=PORT says another',
    read: (draft, value, place) => {
      draft.debugConsole = { ...place, value };
    },
  },
  display: {
    value: 'none|vnc=[HOST]:DISPLAY',
    becomes: 'nothing: vring shows the screen of a VM when you look; with vnc=, graphics',
    late: true,
    read: (draft, value, place) => {
      if (value.startsWith('vnc=')) readVnc(draft, value.slice('vnc='.length), place);
      else if (value !== 'none') draft.leaveOut(place, NO_SCREEN);
    },
  },
  vnc: {
    value: '[HOST]:DISPLAY|unix:PATH|none',
    becomes: 'graphics, at a loopback address where the host is another one',
    late: true,
    read: readVnc,
  },
  k: {
    value: 'LAYOUT',
    becomes: 'graphics.layout',
    read: readKeyboard,
  },
  spice: {
    value: 'port=PORT,...|unix=on,addr=PATH',
    becomes: 'graphics, by VNC',
    late: true,
    read: readSpice,
  },
  vga: {
    value: 'std|virtio|none',
    becomes: 'display; other adapters are the standard VGA',
    read: readVga,
  },
  usbdevice: {
    value: 'tablet|mouse|keyboard',
    becomes: 'inputs',
    repeats: true,
    read: (draft, value, place) => {
      const input = USB_INPUTS.find(each => each === value);
      if (input === undefined)
        throw new OptionError(
          `expected tablet, mouse or keyboard, not ${shown(value)}: disks are -device usb-storage`,
        );
      draft.addInput(place, input);
    },
  },
  uuid: { value: 'UUID', becomes: 'machine.uuid', read: readUuid },
  'option-rom': {
    value: 'FILE',
    becomes: 'machine.fw-cfg, as genroms/NAME, which SeaBIOS starts; with a kernel, machine.firmware: bios',
    repeats: true,
    read: readOptionRom,
  },
  readconfig: {
    value: 'FILE',
    becomes: 'the options in the file',
    repeats: true,
    read: () => {},
  },
  fw_cfg: {
    value: '[name=]NAME,file=FILE|string=TEXT',
    becomes: 'machine.fw-cfg; with a kernel, machine.firmware: bios',
    repeats: true,
    read: readFwCfg,
  },
  smbios: {
    value: 'type=0|1|2|3|4|11|17,...',
    becomes: 'machine.smbios; machine.uuid, with type=1,uuid=',
    repeats: true,
    read: readSmbios,
  },
  global: {
    value: 'DRIVER.PROPERTY=VALUE',
    becomes:
      'machine.suspend and machine.hibernate, with ICH9-LPC.disable_s3=1 and disable_s4=1; the port of -debugcon, with isa-debugcon.iobase=; nothing, for other chips of the machine',
    repeats: true,
    read: readGlobal,
  },
  accel: {
    value: 'kvm',
    becomes: 'nothing: vring uses KVM; one of several must be kvm',
    repeats: true,
    read: (draft, value, place) => {
      draft.accelerators.push({ ...place, name: value.split(',', 1)[0]!.replace(/^accel=/, '') });
    },
  },
  balloon: {
    value: 'virtio|none',
    becomes: 'balloon',
    read: (draft, value) => {
      if (!/^(virtio|none)(,|$)/.test(value))
        throw new OptionError(`expected virtio or none, not ${shown(value)}`);
      draft.fields.balloon = value !== 'none';
    },
  },
  'enable-kvm': already('nothing: vring uses KVM'),
  nographic: {
    becomes: 'boot.serial: the firmware uses COM1, too, and the guest keeps its VGA, as in QEMU',
    repeats: true,
    read: draft => {
      draft.onSerial = true;
    },
  },
  nodefaults: {
    becomes: 'display: none, unless -vga or -device says otherwise; no network card that is not given',
    repeats: true,
    read: draft => {
      draft.noDefaults = true;
      draft.fields.display ??= 'none';
    },
  },
  'no-user-config': already('nothing: no other file is read'),
  nodefconfig: already('nothing: no other file is read'),
  'no-hpet': already('nothing: there is none without machine.hpet'),
};

/** Aliases. */
export const QEMU_ALIASES: Readonly<Record<string, string>> = { M: 'machine' };

/** -vga. @throws OptionError */
function readVga(draft: Draft, value: string, place: Place): void {
  if (value === 'none') draft.fields.display = 'none';
  else if (value === 'std') draft.fields.display = 'vga';
  else if (value === 'virtio') draft.fields.display = 'virtio';
  else if (/^(cirrus|vmware|qxl)$/.test(value)) {
    draft.fields.display = 'vga';
    draft.leaveOut(place, 'the guest gets a standard VGA instead');
  } else throw new OptionError(`expected std, virtio or none, not ${shown(value)}`);
}

/** -name: characters that VM names cannot have are replaced. @throws OptionError */
function readName(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value, 'guest');
  const given = settings.take('guest');
  settings.leaveOut({
    process: 'vring names the process of a VM after it',
    'debug-threads': 'threads are always named',
  });
  settings.end();
  if (given === undefined) return;
  const name = plainName(given);
  if (name === null) throw new OptionError(`expected ${VM_NAME.rule}, not ${shown(given)}`);
  draft.fields.name = name;
  if (name !== given) draft.leaveOut(place, `${VM_NAME.rule}: it becomes ${name}`);
}

/** -action. @throws OptionError */
function readAction(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const reboot = settings.takeOne('reboot', ['reset', 'shutdown']);
  settings.leaveOut({
    shutdown: 'VMs that are off stay in the list',
    panic: 'on-crash in the definition says what happens after a crash',
  });
  const watchdog = settings.take('watchdog');
  settings.end();
  if (watchdog !== undefined) draft.watchdogAction = watchdogAction(watchdog);
  if (reboot !== undefined) draft.fields['on-reboot'] = reboot === 'shutdown' ? 'stop' : 'restart';
}

/** -rtc. @throws OptionError */
function readRtc(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const base = settings
    .take('base')
    ?.toUpperCase()
    .replace(/^(UTC|LOCALTIME)$/, word => word.toLowerCase());
  if (base !== undefined && !isClockStart(base))
    throw new OptionError(
      `base=${shown(base)}: expected utc, localtime or a time, such as 2006-06-17T16:01:21`,
    );
  if (base !== undefined && base !== 'utc') draft.fields.machine = { ...draft.fields.machine, clock: base };
  settings.prefer('clock', ['host'], "a guest's clock follows the host's");
  settings.prefer('driftfix', ['none'], 'KVM reinjects lost ticks');
  settings.end();
}

/** Reads -accel, of which the first available accelerator counts. */
export function checkAccelerators(draft: Draft, problem: (place: Place, error: OptionError) => void): void {
  const { accelerators } = draft;
  try {
    readAccelerators(accelerators.map(({ name }) => name));
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    problem(accelerators[0]!, error);
    return;
  }
  for (const place of accelerators) {
    if (!place.name.split(':').includes('kvm')) draft.leaveOut(place, 'vring only runs guests on KVM');
  }
}

/** @throws OptionError */
export function unknownOption(word: string): OptionError {
  const tables = [QEMU_OPTIONS, LEFT_OUT_OPTIONS, REFUSED_OPTIONS];
  const names = tables.flatMap(table => Object.keys(table)).map(name => `-${name}`);
  const meant = likely(word.replace(/^--/, '-'), names);
  if (meant !== null) return new OptionError(`QEMU has no such option: did you mean "${meant}"?`);
  return new OptionError('vring does not support it: leave it out');
}
