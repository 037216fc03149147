import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DeviceConfig } from '../../src/devices/device-table.ts';
import { builtFile } from '../../src/project-root.ts';
import { makeLinux, whyNoLinux } from '../linux/linux-guest.ts';
import { bootDiskOf, PARTITION } from '../rig/boot-disk.ts';
import { bzImageOf } from '../support/bzimage.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { LiveMachine } from '../support/live-machine.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GRUB = '/usr/lib/grub/i386-pc';
const MINUTES = 60_000;
const MiB = 2 ** 20;
/** A KVM that emulates kernel mode takes a minute for GRUB, which runs in 32 bits on ring 0, and minutes for it to read Linux, byte by byte. */
const TIMEOUT = 15 * MINUTES;

/** What a menu of GRUB boots, by the command of that name. */
type Kernel = {
  readonly command: 'multiboot' | 'linux';
  readonly menu: string;
  /** In the folder `boot`. */
  readonly files: Readonly<Record<string, string | Buffer>>;
};

const EMBEDDED: Kernel = {
  command: 'multiboot',
  menu: 'multiboot /boot/guest.elf run=halt',
  files: { 'guest.elf': builtFile('guest-multiboot.elf') },
};

async function linux(): Promise<Kernel> {
  const { kernel, initrd } = await makeLinux(temporaryFolder(), 'command-line.c');
  return {
    command: 'linux',
    menu: `linux /boot/linux console=ttyS0 quiet rodata=off
  initrd /boot/initrd`,
    files: { linux: bzImageOf(readFileSync(kernel)), initrd },
  };
}

/** Makes what GRUB reads from the medium that it is on: its modules, its menu, and the kernel in that. */
function bootFolder({ command, menu, files }: Kernel): string {
  const root = join(temporaryFolder(), 'root');
  mkdirSync(join(root, 'boot/grub/i386-pc'), { recursive: true });
  writeFileSync(join(root, 'boot/grub/grub.cfg'), `set timeout=1\nmenuentry 'a kernel' {\n  ${menu}\n}\n`);
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, 'boot', name);
    if (typeof content === 'string') copyFileSync(content, path);
    else writeFileSync(path, content);
  }
  // As grub-install does, which leaves a core so small that decompressing it takes seconds.
  for (const name of withDependencies(['normal', command]))
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

function makeDisk(kernel: Kernel): string {
  const folder = temporaryFolder();
  const [core, system, disk] = ['core', 'system', 'disk.img'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ];
  makeCore(core, 'i386-pc', '(hd0,msdos1)/boot/grub', ['part_msdos', 'ext2']);
  execFileSync('mke2fs', ['-q', '-t', 'ext2', '-b', '4096', '-d', bootFolder(kernel), system, '24M'], {
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  const [sector, ...files] = [join(GRUB, 'boot.img'), core, system].map(file => readFileSync(file));
  writeFileSync(disk, bootDiskOf(sector!, files[0]!, [{ type: PARTITION.linux, content: files[1]! }]));
  return disk;
}

function makeCd(kernel: Kernel): string {
  const root = bootFolder(kernel);
  const cd = join(temporaryFolder(), 'cd.iso');
  makeCore(join(root, 'boot/grub/eltorito.img'), 'i386-pc-eltorito', '(cd)/boot/grub', ['iso9660']);
  const boot = ['-b', 'boot/grub/eltorito.img', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'];
  execFileSync('genisoimage', ['-quiet', '-R', '-o', cd, ...boot, root]);
  return cd;
}

const MEDIA: readonly (readonly [string, (kernel: Kernel) => DeviceConfig[]])[] = [
  ['virtio disk', kernel => [{ type: 'virtio-blk', path: makeDisk(kernel), format: 'raw' }]],
  ['SATA disk', kernel => [{ type: 'ahci' }, { type: 'sata-hd', path: makeDisk(kernel), format: 'raw' }]],
  ['CD', kernel => [{ type: 'piix3-ide' }, { type: 'ide-cd', path: makeCd(kernel), format: 'raw' }]],
];

/** What a PC with these devices prints until it powers itself off. */
function boot(devices: DeviceConfig[]): string {
  const machine = new LiveMachine('', {
    boot: { kind: 'firmware' },
    memory: { bytes: 128 * MiB },
    devices,
  });
  try {
    machine.after(TIMEOUT - MINUTES, () => machine.end(`it is still running: ${machine.output}`));
    machine.machine.run();
    machine.run();
    expect(machine.ended).toBe('power-off');
    return machine.output;
  } finally {
    machine.close();
  }
}

describe.skipIf(noKvm !== null).each(MEDIA)(
  onKvm('GRUB on a %s, booted by SeaBIOS,'),
  (medium, devicesOf) => {
    test('boots a kernel by Multiboot', { timeout: TIMEOUT }, () => {
      expect(boot(devicesOf(EMBEDDED))).toMatch(
        /128 MiB memory, 1 vCPU, \d PCI functions, started by multiboot\r\n/,
      );
    });

    // GRUB's part is the same on each disk.
    test.skipIf(whyNoLinux() !== null || medium === 'SATA disk')(
      'boots Linux',
      { timeout: TIMEOUT },
      async () => {
        expect(boot(devicesOf(await linux()))).toMatch(
          /guest: started with BOOT_IMAGE=\/boot\/linux console=ttyS0 quiet rodata=off\r?\n/,
        );
      },
    );
  },
);
