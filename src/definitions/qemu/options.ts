import { likely } from '../../text/nearest.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { shown } from '../words.ts';
import { readBlockdev } from './blockdevs.ts';
import { readCpu, readSmp } from './cpus.ts';
import { readDevice } from './devices.ts';
import type { Draft, Place } from './draft.ts';
import { ideDisk, readDrive } from './drives.ts';
import { OptionError } from './error.ts';
import { readBios, readPflash } from './firmware.ts';
import { LEFT_OUT_OPTIONS, MACHINE_CHIPS } from './left-out.ts';
import { readAccelerators, readBoot, readInitrd, readKernel, readMachine } from './machine.ts';
import { readMemory, readMemoryBackend } from './memory.ts';
import { readNet, readNetdev, readNic } from './nic-options.ts';
import { readNuma } from './numa.ts';
import { REFUSED_OPTIONS } from './refused.ts';

/** One of QEMU's options that mean something to vring. */
export type QemuOption = {
  /** What stands after it, as in QEMU's manual; absent for a switch. */
  readonly value?: string;
  /** What it becomes, for the documentation. */
  readonly becomes: string;
  /** It may be given several times; of another one the last counts. */
  readonly repeats?: true;
  /** Read when all others have been: it refers to them. */
  readonly late?: true;
  /** @throws OptionError */
  readonly read: (draft: Draft, value: string, place: Place) => void;
};

/** What vring does or is anyway. */
function already(becomes: string): QemuOption {
  return { becomes, repeats: true, read: () => {} };
}

const hardDisk = (index: number): QemuOption => ({
  value: 'FILE',
  becomes: 'a disk with bus: ide',
  read: (draft, file, place) => draft.addDisk(place, ideDisk(file, false, draft.host), index),
});

/** Where the host shows what a guest prints, or asks for what it gets. */
const NO_SCREEN = "this version has no screen: the guest's console is its serial port (console=ttyS0)";

/** The options that mean something. */
export const QEMU_OPTIONS: Readonly<Record<string, QemuOption>> = {
  name: { value: '[guest=]NAME', becomes: 'name', repeats: true, read: readName },
  m: { value: '[size=]SIZE', becomes: 'memory; a bare number counts MiB', repeats: true, read: readMemory },
  smp: {
    value: '[cpus=]N[,sockets=,cores=,threads=]',
    becomes: 'cpus.count, cpus.topology',
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
  kernel: { value: 'FILE', becomes: 'machine.kernel', read: readKernel },
  initrd: {
    value: 'FILE',
    becomes: 'machine.initrd; of a multiboot kernel machine.modules: `FILE ARGUMENTS,FILE ARGUMENTS`',
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
    becomes: 'machine.firmware, by the name of the file; nothing with a kernel',
    late: true,
    read: readBios,
  },
  pflash: { value: 'FILE', becomes: 'machine.firmware: uefi', repeats: true, read: readPflash },
  drive: {
    value: 'file=FILE,if=virtio|scsi|ide|none|pflash[,format=,media=,readonly=,cache=,serial=,index=,id=]',
    becomes: 'a disk; with if=none, by the -device that names it; with if=pflash, machine.firmware: uefi',
    repeats: true,
    read: readDrive,
  },
  blockdev: {
    value: 'file|raw|qcow2|...,node-name=NODE[,filename=,file=,read-only=]',
    becomes: 'a disk, by the -device that names it',
    repeats: true,
    read: readBlockdev,
  },
  hda: hardDisk(0),
  hdb: hardDisk(1),
  hdc: hardDisk(2),
  hdd: hardDisk(3),
  cdrom: {
    value: 'FILE',
    becomes: 'a disk with cdrom: true',
    read: (draft, file, place) => draft.addDisk(place, ideDisk(file, true, draft.host), 2),
  },
  nic: {
    value: 'user|tap|bridge|none[,model=,mac=,...]',
    becomes: 'a network card',
    repeats: true,
    read: readNic,
  },
  net: {
    value: 'nic[,model=,macaddr=,netdev=] | user|tap|bridge[,...]',
    becomes: 'a network card',
    repeats: true,
    late: true,
    read: readNet,
  },
  netdev: {
    value: 'user|tap|bridge,id=ID[,hostfwd=,ifname=,br=]',
    becomes: 'the network of the -device that names it',
    repeats: true,
    read: readNetdev,
  },
  object: {
    value:
      'memory-backend-ram|-memfd|-file,id=,size=[,hugetlb=,mem-path=,merge=] | rng-random|rng-builtin,id=',
    becomes: 'memory, by the -machine or -numa that names it; random bytes are those of the host',
    repeats: true,
    read: readObject,
  },
  numa: {
    value: 'node[,cpus=FIRST-LAST][,memdev=ID|,mem=SIZE] | dist,src=,dst=,val=',
    becomes: 'numa; memory, where a memdev= says how',
    repeats: true,
    read: readNuma,
  },
  'mem-path': {
    value: 'FOLDER',
    becomes: 'memory.hugepages, where a hugetlbfs is',
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
  action: {
    value: 'reboot=reset|shutdown,...',
    becomes: 'on-reboot',
    repeats: true,
    read: readAction,
  },
  rtc: { value: 'base=utc[,clock=host]', becomes: "nothing: a guest's clock is in UTC", read: readRtc },
  serial: {
    value: 'stdio|mon:stdio|...',
    becomes: 'nothing: COM1 is the console',
    repeats: true,
    read: (draft, value, place) => {
      draft.serialPorts.push({ ...place, value });
    },
  },
  parallel: {
    value: 'none',
    becomes: 'nothing: a guest has no parallel port',
    repeats: true,
    read: (_draft, value) => {
      if (value === 'none' || value === 'null') return;
      throw new OptionError('there is no parallel port: use -parallel none');
    },
  },
  display: {
    value: 'none',
    becomes: 'nothing: a guest has no screen',
    read: (draft, value, place) => {
      if (value !== 'none') draft.leaveOut(place, NO_SCREEN);
    },
  },
  vga: {
    value: 'none',
    becomes: 'nothing: a guest has no graphics card',
    read: (_draft, value) => {
      if (value === 'none') return;
      throw new OptionError(
        'there is no graphics card yet: use -vga none, and the serial console, with console=ttyS0',
      );
    },
  },
  usbdevice: {
    value: 'tablet|mouse|keyboard',
    becomes: 'nothing: they are for a screen',
    repeats: true,
    read: (draft, value, place) => {
      if (!/^(tablet|mouse|keyboard|wacom-tablet)$/.test(value))
        throw new OptionError('there is no USB yet: leave it out');
      draft.leaveOut(place, 'it is an input device for a screen, which this version does not have');
    },
  },
  smbios: {
    value: 'type=N,...',
    becomes: 'nothing: there are no SMBIOS tables; a table that guests take their set-up from is refused',
    repeats: true,
    read: readSmbios,
  },
  global: {
    value: 'DRIVER.PROPERTY=VALUE',
    becomes: 'nothing, for the chips of the machine',
    repeats: true,
    read: readGlobal,
  },
  accel: {
    value: 'kvm',
    becomes: 'nothing: vring runs on KVM; of several, one has to be kvm',
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
  'enable-kvm': already('nothing: vring runs on KVM'),
  nographic: already('nothing: the console is COM1'),
  nodefaults: {
    becomes: 'nothing: a guest has what it is given',
    repeats: true,
    read: draft => {
      draft.noDefaults = true;
    },
  },
  'no-user-config': already('nothing: no other file is read'),
  nodefconfig: already('nothing: no other file is read'),
  'no-hpet': already('nothing: there is no HPET'),
};

/** Other names of the same options. */
export const QEMU_ALIASES: Readonly<Record<string, string>> = { M: 'machine' };

/** -name: one that no VM can have is made one. @throws OptionError */
function readName(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value, 'guest');
  const given = settings.take('guest');
  settings.leaveOut({
    process: 'all VMs are in one process',
    'debug-threads': 'threads are always named',
  });
  settings.end();
  if (given === undefined) return;
  if (VM_NAME.pattern.test(given)) {
    draft.fields.name = given;
    return;
  }
  const name = given
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63);
  if (!VM_NAME.pattern.test(name)) throw new OptionError(`expected ${VM_NAME.rule}, not ${shown(given)}`);
  draft.fields.name = name;
  draft.leaveOut(place, `${VM_NAME.rule}: it becomes ${name}`);
}

/** Objects of QEMU's own, which no guest sees. */
const HOST_OBJECTS =
  /^(iothread|thread-context|throttle-group|secret|secret_keyring|tls-.*|authz-.*|filter-.*|main-loop|can-bus|input-.*|qtest|colo-.*|can-host-.*)$/;

/** -object. @throws OptionError */
function readObject(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value, 'qom-type');
  const type = settings.require('qom-type');
  if (/^memory-backend-(ram|memfd|file)$/.test(type)) {
    readMemoryBackend(draft, type, settings, place);
  } else if (type === 'rng-random' || type === 'rng-builtin') {
    draft.nameRandomSource(place, settings.require('id'));
    settings.prefer('filename', ['/dev/urandom', '/dev/random'], 'random bytes are those of the host');
    settings.end();
  } else if (HOST_OBJECTS.test(type)) {
    draft.leaveOut(
      place,
      type === 'iothread' ? 'each queue has a thread of its own' : 'the guest does not see it',
    );
  } else {
    const meant = likely(type, [
      'memory-backend-ram',
      'memory-backend-memfd',
      'memory-backend-file',
      'rng-random',
    ]);
    const advice = meant === null ? 'leave it out' : `did you mean "${meant}"?`;
    throw new OptionError(`vring has no objects ${shown(type)}: ${advice}`);
  }
}

/** -action. @throws OptionError */
function readAction(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const reboot = settings.takeOne('reboot', ['reset', 'shutdown']);
  settings.leaveOut({
    shutdown: 'a VM that is off stays in the list',
    panic: 'what comes after a crash is said with on-crash in the definition',
    watchdog: 'there is no watchdog in this version',
  });
  settings.end();
  if (reboot !== undefined) draft.fields['on-reboot'] = reboot === 'shutdown' ? 'stop' : 'restart';
}

/** -rtc. @throws OptionError */
function readRtc(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const base = settings.take('base');
  if (base === 'localtime') draft.leaveOut(place, "a guest's clock is in UTC", 'base=localtime');
  else if (base !== undefined && base !== 'utc')
    throw new OptionError(`base=${base}: a guest's clock shows the time of the host, in UTC: leave it out`);
  settings.prefer('clock', ['host'], "a guest's clock follows that of the host");
  settings.prefer('driftfix', ['none'], 'KVM makes up for lost ticks');
  settings.end();
}

/** -smbios: identity that nothing in a guest needs is left out. @throws OptionError */
function readSmbios(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const type = settings.take('type');
  const data = settings.rest().filter(([key]) => key !== 'uuid' && key !== 'base64');
  // A cloud image takes its data source from the serial number, systemd its credentials from strings of type 11.
  const matters = type === '11' || data.some(([, text]) => /^ds=|nocloud|^[A-Za-z0-9+/]{24,}=*$/.test(text));
  if (matters || type === undefined)
    throw new OptionError('there are no SMBIOS tables yet: give the guest these data on a disk');
  draft.leaveOut(place, 'this version has no SMBIOS tables, which is where a guest would read it');
}

/** -global. @throws OptionError */
function readGlobal(draft: Draft, value: string, place: Place): void {
  const match = /^(?:driver=([^,]+),property=.*|([^.=]+(?:\.pflash01)?)\..*)$/.exec(value);
  const driver = match?.[1] ?? match?.[2];
  if (driver === undefined) throw new OptionError('expected DRIVER.PROPERTY=VALUE');
  if (!MACHINE_CHIPS.test(driver))
    throw new OptionError(`say it at each -device ${driver}, as ${driver},PROPERTY=VALUE`);
  draft.leaveOut(place, 'the chip it configures has no such setting in vring');
}

/** Of -accel, the first that is usable counts. @returns what is wrong */
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
    if (!place.name.split(':').includes('kvm')) draft.leaveOut(place, 'vring runs guests on KVM only');
  }
}

/** @throws OptionError */
export function unknownOption(word: string): OptionError {
  const tables = [QEMU_OPTIONS, LEFT_OUT_OPTIONS, REFUSED_OPTIONS];
  const names = tables.flatMap(table => Object.keys(table)).map(name => `-${name}`);
  const meant = likely(word.replace(/^--/, '-'), names);
  if (meant !== null) return new OptionError(`QEMU has no such option: did you mean "${meant}"?`);
  return new OptionError('vring does not know it: leave it out');
}
