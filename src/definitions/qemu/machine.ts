import path from 'node:path';
import { bytesOf, sizeText } from '../../text/size.ts';
import type { BootSource } from '../fields/boot.ts';
import { shown } from '../words.ts';
import type { Draft } from './draft.ts';
import { OptionError } from './error.ts';
import { Settings } from './settings.ts';

/** -m. @throws OptionError */
export function readMemory(draft: Draft, text: string): void {
  const settings = new Settings(text, 'size');
  const size = settings.require('size');
  settings.end({
    slots: "memory can't be added while the guest runs: leave it out",
    maxmem: "memory can't be added while the guest runs: leave it out",
  });
  const bytes = bytesOf(size);
  if (bytes === null) throw new OptionError(`expected a size such as 512M or 2G, not ${shown(size)}`);
  draft.fields.memory = { ...settingsOf(draft), size: sizeText(bytes) };
}

/** -machine. @throws OptionError */
export function readMachine(draft: Draft, text: string): void {
  const settings = new Settings(text, 'type');
  const type = settings.take('type');
  if (type !== undefined && !/^(pc-)?q35(-[\d.]+)?$/.test(type)) {
    throw new OptionError(`vring has no machine ${shown(type)}: its only one is like q35: leave it out`);
  }
  settings.accept('accel', 'kvm', 'kvm:tcg');
  settings.accept('kernel-irqchip', 'on', 'split');
  for (const absent of ['usb', 'vmport', 'hpet', 'smm', 'nvdimm', 'graphics', 'pcspk'])
    settings.accept(absent, 'off');
  const mergeable = settings.takeSwitch('mem-merge');
  settings.end();
  if (mergeable) draft.fields.memory = { ...settingsOf(draft), mergeable };
}

function settingsOf(draft: Draft): { size?: string; mergeable?: boolean } {
  return (draft.fields.memory ?? {}) as { size?: string; mergeable?: boolean };
}

export function readKernel(draft: Draft, key: 'kernel' | 'initrd', file: string): void {
  draft.fields.machine = { ...draft.fields.machine, [key]: path.resolve(draft.host.cwd, file) };
}

const SOURCES: Readonly<Record<string, BootSource>> = {
  c: 'disk',
  d: 'cdrom',
  n: 'network',
  o: 'network',
  p: 'network',
};

/** -boot. @throws OptionError */
export function readBoot(draft: Draft, text: string): void {
  const settings = new Settings(text, 'order');
  const order = settings.take('order');
  const once = settings.take('once');
  settings.accept('menu', 'off');
  settings.accept('strict', 'off');
  settings.end();
  draft.fields.boot = {
    ...(order !== undefined && { order: sources(order) }),
    ...(once !== undefined && { once: sources(once) }),
  };
}

function sources(letters: string): BootSource[] {
  return [...letters].map(letter => {
    const source = SOURCES[letter];
    if (source !== undefined) return source;
    const what = /[ab]/.test(letter)
      ? 'vring has no floppy drives'
      : `expected letters, not ${shown(letters)}`;
    throw new OptionError(`${what}: there are c (disk), d (CD-ROM) and n (network)`);
  });
}
