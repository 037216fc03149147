import { likely } from '../../text/nearest.ts';
import { own } from '../own.ts';
import { shown } from '../words.ts';
import { parseCpu, parseSmp } from './cpus.ts';
import { readDevice } from './devices.ts';
import type { Draft, Place } from './draft.ts';
import { ideDisk, parseDrive } from './drives.ts';
import { OptionError } from './error.ts';
import { readBoot, readKernel, readMachine, readMemory } from './machine.ts';
import { readNet, readNetdev, readNic } from './nic-options.ts';
import { Settings } from './settings.ts';

/** One of QEMU's options that vring takes. */
export type QemuOption = {
  /** What stands behind it, as in QEMU's manual; absent for a switch. */
  readonly value?: string;
  /** What it becomes, for the documentation. */
  readonly becomes: string;
  /** It may be given several times. */
  readonly repeats?: true;
  /** Read when all others have been: it refers to them. */
  readonly late?: true;
  /** @throws OptionError */
  readonly read: (draft: Draft, value: string, place: Place) => void;
};

/** What vring does or is anyway. */
function already(becomes: string): QemuOption {
  return { becomes, read: () => {} };
}

/** What vring does or is anyway, if the value is one of these. */
function alreadyWith(value: string, values: readonly string[], becomes: string, instead: string): QemuOption {
  return {
    value,
    becomes,
    read: (_draft, given) => {
      if (!values.includes(given))
        throw new OptionError(`vring has only ${values.join(', ')} here: ${instead}`);
    },
  };
}

const hardDisk: QemuOption = {
  value: 'FILE',
  becomes: 'a disk with bus: ide',
  read: (draft, file, place) => draft.addDisk(place, ideDisk(file, false, draft.host)),
};

/** The options that vring takes. */
export const QEMU_OPTIONS: Readonly<Record<string, QemuOption>> = {
  name: {
    value: '[guest=]NAME',
    becomes: 'name',
    read: (draft, value) => {
      const settings = new Settings(value, 'guest');
      draft.fields.name = settings.require('guest');
      settings.end({ process: 'leave it out', 'debug-threads': 'leave it out: threads have names' });
    },
  },
  m: { value: '[size=]SIZE', becomes: 'memory; a bare number counts MiB', read: readMemory },
  smp: {
    value: '[cpus=]N[,sockets=,cores=,threads=]',
    becomes: 'cpus.count, cpus.topology',
    read: (draft, value) => mergeCpus(draft, parseSmp(value)),
  },
  cpu: {
    value: 'host[,-FEATURE][,kvm=off]',
    becomes: 'cpus.features, cpus.hide-hypervisor',
    read: (draft, value) => mergeCpus(draft, parseCpu(value)),
  },
  machine: { value: 'q35[,accel=kvm][,mem-merge=on]', becomes: 'memory.mergeable', read: readMachine },
  kernel: {
    value: 'FILE',
    becomes: 'machine.kernel',
    read: (draft, file) => readKernel(draft, 'kernel', file),
  },
  initrd: {
    value: 'FILE',
    becomes: 'machine.initrd',
    read: (draft, file) => readKernel(draft, 'initrd', file),
  },
  append: {
    value: 'TEXT',
    becomes: 'machine.append',
    read: (draft, append) => {
      draft.fields.machine = { ...draft.fields.machine, append };
    },
  },
  drive: {
    value: 'file=FILE,if=virtio|scsi|ide|none[,format=,media=,readonly=,cache=,serial=,id=]',
    becomes: 'a disk; with if=none, by the -device that names it',
    repeats: true,
    read: (draft, value, place) => {
      const drive = parseDrive(new Settings(value), draft.host, bus => draft.disksOn(bus));
      if (drive.bus === 'none') draft.nameDrive(place, drive);
      else draft.addDisk(place, { ...drive.disk, bus: drive.bus });
    },
  },
  hda: hardDisk,
  hdb: hardDisk,
  hdc: hardDisk,
  hdd: hardDisk,
  cdrom: {
    value: 'FILE',
    becomes: 'a disk with cdrom: true',
    read: (draft, file, place) => draft.addDisk(place, ideDisk(file, true, draft.host)),
  },
  nic: {
    value: 'user|tap|bridge|none[,model=,mac=,...]',
    becomes: 'a network card',
    repeats: true,
    read: readNic,
  },
  net: {
    value: 'nic[,model=,macaddr=] | user|tap|bridge[,...]',
    becomes: 'a network card',
    repeats: true,
    read: readNet,
  },
  netdev: {
    value: 'user|tap|bridge,id=ID[,hostfwd=,ifname=,br=]',
    becomes: 'the network of the -device that names it',
    repeats: true,
    read: readNetdev,
  },
  object: {
    value: 'rng-random|rng-builtin,id=ID',
    becomes: "nothing of its own: random bytes are the host's",
    repeats: true,
    read: (draft, value, place) => {
      const settings = new Settings(value, 'qom-type');
      const type = settings.require('qom-type');
      if (type !== 'rng-random' && type !== 'rng-builtin')
        throw new OptionError(
          own(NO_OBJECT, type) ?? `vring has no objects ${shown(type)}: there are rng-random, rng-builtin`,
        );
      draft.nameRandomSource(place, settings.require('id'));
      settings.accept('filename', '/dev/urandom', '/dev/random');
      settings.end();
    },
  },
  device: {
    value: 'NAME[,PROPERTY=VALUE...]',
    becomes: 'see the devices below',
    repeats: true,
    late: true,
    read: readDevice,
  },
  boot: { value: '[order=]LETTERS[,once=LETTERS]', becomes: 'boot', read: readBoot },
  'no-reboot': {
    becomes: 'on-reboot: stop',
    read: draft => {
      draft.fields['on-reboot'] = 'stop';
    },
  },
  serial: alreadyWith(
    'stdio|mon:stdio',
    ['stdio', 'mon:stdio'],
    'nothing: the console is COM1',
    'see it with vring vm console',
  ),
  monitor: alreadyWith('none', ['none'], 'nothing: vring has no monitor', 'use the commands of vring vm'),
  display: alreadyWith(
    'none',
    ['none'],
    'nothing: a guest has no screen',
    'use -display none and the serial console',
  ),
  vga: alreadyWith(
    'none',
    ['none'],
    'nothing: a guest has no screen',
    'use -vga none and the serial console',
  ),
  accel: alreadyWith('kvm', ['kvm'], 'nothing: vring runs on KVM', 'use -accel kvm'),
  sandbox: alreadyWith('on', ['on'], 'nothing: system calls are always filtered', 'use -sandbox on'),
  'enable-kvm': already('nothing: vring runs on KVM'),
  nographic: already('nothing: the console is COM1'),
  nodefaults: already('nothing: a guest has what it is given'),
  'no-user-config': already('nothing: no other file is read'),
  'no-hpet': already('nothing: there is no HPET'),
};

const NO_OBJECT: Readonly<Record<string, string>> = Object.fromEntries(
  ['memory-backend-ram', 'memory-backend-memfd', 'memory-backend-file'].map(type => [
    type,
    `vring does not have ${type}: say memory: {size: ..., hugepages: 2M} in the definition`,
  ]),
);

/** Other names of the same options. */
export const QEMU_ALIASES: Readonly<Record<string, string>> = { M: 'machine' };

function mergeCpus(draft: Draft, more: ReturnType<typeof parseSmp>): void {
  draft.fields.cpus = { ...(draft.fields.cpus as typeof more | undefined), ...more };
}

/** @throws OptionError */
export function unknownOption(word: string): OptionError {
  const names = Object.keys(QEMU_OPTIONS).map(name => `-${name}`);
  const meant = likely(word, names);
  if (meant !== null) return new OptionError(`vring does not have it: did you mean "${meant}"?`);
  return new OptionError('vring does not have it: leave it out');
}
