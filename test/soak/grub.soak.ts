import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DeviceConfig } from '../../src/devices/device-table.ts';
import { builtFile } from '../../src/project-root.ts';
import { bootDiskOf, PARTITION } from '../rig/boot-disk.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { LiveMachine } from '../support/live-machine.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GRUB = '/usr/lib/grub/i386-pc';
const MINUTES = 60_000;
/** A KVM that emulates kernel mode takes a minute for GRUB: it runs in 32 bits on ring 0. */
const TIMEOUT = 10 * MINUTES;

const MENU = `
set timeout=1
menuentry 'the embedded guest' {
  multiboot /boot/guest.elf run=halt
}`;

/** Makes what GRUB reads from the medium that it is on: its modules, its menu, and the kernel in that. */
function bootFolder(): string {
  const root = join(temporaryFolder(), 'root');
  mkdirSync(join(root, 'boot/grub/i386-pc'), { recursive: true });
  writeFileSync(join(root, 'boot/grub/grub.cfg'), MENU);
  copyFileSync(builtFile('guest-multiboot.elf'), join(root, 'boot/guest.elf'));
  // As grub-install does, which leaves a core so small that decompressing it takes seconds.
  for (const name of withDependencies(['normal', 'multiboot']))
    copyFileSync(join(GRUB, `${name}.mod`), join(root, `boot/grub/i386-pc/${name}.mod`));
  for (const list of ['command', 'fs', 'terminal', 'crypto', 'moddep'])
    copyFileSync(join(GRUB, `${list}.lst`), join(root, `boot/grub/i386-pc/${list}.lst`));
  return root;
}

function withDependencies(modules: readonly string[]): Set<string> {
  const lines = readFileSync(join(GRUB, 'moddep.lst'), 'latin1').split('\n');
  const needs = new Map(lines.map(line => [line.split(':')[0]!, line.split(/:? /).slice(1).filter(Boolean)]));
  const all = new Set(modules);
  for (const name of all) for (const needed of needs.get(name) ?? []) all.add(needed);
  return all;
}

function makeCore(path: string, format: string, prefix: string, modules: readonly string[]): string {
  execFileSync('grub-mkimage', ['-O', format, '-o', path, '-p', prefix, 'biosdisk', ...modules]);
  return path;
}

function makeDisk(): string {
  const folder = temporaryFolder();
  const [core, system, disk] = ['core', 'system', 'disk.img'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ];
  makeCore(core, 'i386-pc', '(hd0,msdos1)/boot/grub', ['part_msdos', 'ext2']);
  execFileSync('mke2fs', ['-q', '-t', 'ext2', '-d', bootFolder(), system, '2M'], {
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  const [sector, ...files] = [join(GRUB, 'boot.img'), core, system].map(file => readFileSync(file));
  writeFileSync(disk, bootDiskOf(sector!, files[0]!, [{ type: PARTITION.linux, content: files[1]! }]));
  return disk;
}

function makeCd(): string {
  const root = bootFolder();
  const cd = join(temporaryFolder(), 'cd.iso');
  makeCore(join(root, 'boot/grub/eltorito.img'), 'i386-pc-eltorito', '(cd)/boot/grub', ['iso9660']);
  const boot = ['-b', 'boot/grub/eltorito.img', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'];
  execFileSync('genisoimage', ['-quiet', '-R', '-o', cd, ...boot, root]);
  return cd;
}

test.skipIf(noKvm !== null).each<readonly [string, () => DeviceConfig[]]>([
  ['disk', () => [{ type: 'virtio-blk', path: makeDisk(), format: 'raw' }]],
  ['CD', () => [{ type: 'piix3-ide' }, { type: 'ide-cd', path: makeCd(), format: 'raw' }]],
])(onKvm('GRUB on a %s, booted by SeaBIOS, boots a kernel'), { timeout: TIMEOUT }, (_, devices) => {
  const machine = new LiveMachine('', {
    boot: { kind: 'firmware' },
    memory: { bytes: 64 * 2 ** 20 },
    devices: devices(),
  });
  try {
    machine.after(TIMEOUT - MINUTES, () => machine.end(`it is still running: ${machine.output}`));
    machine.machine.run();
    machine.run();
    expect(machine.ended).toBe('power-off');
    expect(machine.output).toMatch(/64 MiB memory, 1 vCPU, \d PCI functions, started by multiboot\r\n/);
  } finally {
    machine.close();
  }
});
