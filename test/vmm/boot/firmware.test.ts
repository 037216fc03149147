import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { DeviceConfig } from '../../../src/devices/device-table.ts';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import type { MachineConfigInput } from '../../../src/vmm/machine/config.ts';
import { bootCode, bootDisk } from '../../support/boot-sector.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { LiveMachine } from '../../support/live-machine.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
const TIMEOUT = 240_000;

const machines: LiveMachine[] = [];
afterEach(() => {
  for (const machine of machines.splice(0)) machine.close();
});

/** A machine that SeaBIOS boots; what it says comes to the output as well. */
function machineWith(
  devices: readonly DeviceConfig[],
  options: Partial<MachineConfigInput> = {},
): LiveMachine {
  const debug = { type: 'isa-debugcon', iobase: 0x402 };
  const machine = new LiveMachine('', {
    boot: { kind: 'firmware' },
    memory: { bytes: 64 * MiB },
    devices: [debug, ...devices],
    ...options,
  });
  machines.push(machine);
  return machine;
}

function diskWith(text: string, name = 'disk.img'): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, bootDisk(text));
  return path;
}

/** Runs it until its guest turns it off. */
function run(machine: LiveMachine): string {
  machine.after(TIMEOUT / 2, () => machine.end(`it is still running: ${machine.output}`));
  machine.machine.run();
  machine.run();
  expect(machine.ended).toBe('power-off');
  return said(machine);
}

/** What SeaBIOS and the boot sector have said on the debug console, which comes after COM1. */
function said({ printed }: LiveMachine): string {
  return printed[1] ?? '';
}

describe.skipIf(noKvm !== null)(onKvm('SeaBIOS'), () => {
  test('boots from a virtio-blk disk by INT 13h', { timeout: TIMEOUT }, () => {
    const path = diskWith('READ BY INT 13H');
    const machine = machineWith([{ type: 'virtio-blk', path, format: 'raw' }]);
    const output = run(machine);
    expect(output).toContain('Running on QEMU (q35)');
    expect(output).toContain('fw_cfg DMA interface supported');
    expect(output).toContain('READ BY INT 13H');
    // It has taken our ACPI tables, and has not made any itself.
    expect(output).toMatch(/ACPI: parse DSDT at/);
    // The same text by INT 10h: there is no screen, so it is on COM1.
    expect(machine.printed[0]).toContain('READ BY INT 13H');
  });

  test('prints by INT 17h on a parallel port', { timeout: TIMEOUT }, () => {
    const path = join(temporaryFolder(), 'print.img');
    const text = 'PRINTED\f';
    const code = [
      ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb], // cli; xor ax,ax; mov ds/ss,ax; mov sp,0x7c00; sti
      ...[0xbe, 0x00, 0x7d, 0xb9, text.length, 0x00], // mov si,0x7d00; mov cx,length
      ...[0xac, 0xb4, 0x00, 0x31, 0xd2, 0xcd, 0x17, 0xe2, 0xf7], // lodsb; mov ah,0; xor dx,dx; int 0x17; loop
      ...[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4], // mov dx,pm1; mov ax,s5; out dx,ax; hlt
    ];
    const image = Buffer.alloc(2 ** 20);
    image.set(code);
    image.write(text, 0x100, 'latin1');
    image.set([0x55, 0xaa], 510);
    writeFileSync(path, image);
    const machine = machineWith([
      { type: 'virtio-blk', path, format: 'raw' },
      { type: 'isa-parallel', name: 'lpt1' },
    ]);
    expect(run(machine)).toContain('Found 1 lpt ports');
    expect(machine.printed[2]).toBe(text);
  });

  test('boots from the first disk in the boot order', { timeout: TIMEOUT }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    const blk = { type: 'virtio-blk', format: 'raw' };
    const output = run(
      machineWith([
        { ...blk, path: first },
        { ...blk, path: second, bootindex: 1 },
      ]),
    );
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test('boots from virtio-scsi disks, by their index', { timeout: TIMEOUT }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    const disk = { type: 'scsi-hd', format: 'raw' };
    const output = run(
      machineWith([
        { type: 'virtio-scsi' },
        { ...disk, path: first, addr: '0:0' },
        { ...disk, path: second, addr: '3:1', bootindex: 1 },
      ]),
    );
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test('boots from SATA disks, by their index', { timeout: TIMEOUT }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    const disk = { type: 'sata-hd', format: 'raw' };
    const output = run(
      machineWith([
        { type: 'ahci' },
        { ...disk, path: first, addr: '0' },
        { ...disk, path: second, addr: '4', bootindex: 1 },
      ]),
    );
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test('boots from NVMe disks, by their index', { timeout: TIMEOUT }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    const output = run(
      machineWith([
        { type: 'nvme', format: 'raw', path: first },
        { type: 'nvme-controller' },
        { type: 'nvme-ns', format: 'raw', path: second, addr: '2', bootindex: 1 },
      ]),
    );
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test('boots from IDE disks, by their index', { timeout: TIMEOUT }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    const disk = { type: 'ide-hd', format: 'raw' };
    const output = run(
      machineWith([
        { type: 'piix3-ide' },
        { ...disk, path: first, addr: '0' },
        { ...disk, path: second, addr: '3', bootindex: 1 },
      ]),
    );
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test('boots from SD cards of both kinds, by their index', { timeout: TIMEOUT }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    // Of high capacity: blocks have other addresses.
    truncateSync(second, 4096 * MiB);
    const card = { type: 'sd-card', format: 'raw' };
    const output = run(
      machineWith([
        { type: 'sdhci-pci', name: 'one' },
        { type: 'sdhci-pci', name: 'two' },
        { ...card, path: first },
        { ...card, path: second, bootindex: 1 },
      ]),
    );
    expect(output).toContain('SD card VRING 1MiB');
    expect(output).toContain('SD card VRING 4096MiB');
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test('boots from USB disks, by their index, and its menu accepts a USB keyboard', {
    timeout: TIMEOUT,
  }, () => {
    const [first, second] = [diskWith('FIRST', 'first.img'), diskWith('SECOND', 'second.img')];
    const disk = { type: 'usb-storage', format: 'raw' };
    const machine = machineWith(
      [
        { type: 'qemu-xhci' },
        { ...disk, path: first },
        { type: 'usb-kbd', name: 'kbd' },
        { ...disk, path: second, addr: '9', bootindex: 1 },
      ],
      { boot: { kind: 'firmware', menu: { show: true, waitMs: 60_000 } } },
    );
    const keyboard = machine.machine.parts.chipset.part('kbd')!.built.capabilities!.keyboard!;
    const press = (key: number) => {
      expect(keyboard.active).toBe(true);
      for (const down of [true, false]) expect(keyboard.key(key, down)).toBe(true);
    };
    const answers = new Map([
      ['Press ESC for boot menu', KEY.esc],
      ['Select boot device', KEY['1']],
    ]);
    machine.onPrinted = () => {
      for (const [question, key] of answers) {
        if (!said(machine).includes(question)) continue;
        answers.delete(question);
        // It begins to wait for keys when it has asked.
        machine.loop.at(machine.loop.now() + 500_000_000n, () => press(key));
      }
    };
    const output = run(machine);
    expect(answers.size).toBe(0);
    expect(output).toContain('SECOND');
    expect(output).not.toContain('FIRST');
  });

  test.each([
    ['virtio-scsi', 'scsi-cd'],
    ['ahci', 'sata-cd'],
    ['piix3-ide', 'ide-cd'],
  ])('boots from a CD by El Torito, before a disk (%s)', { timeout: TIMEOUT }, (controller, drive) => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'cd'));
    // It prints the volume descriptor in sector 16, as far as the first NUL.
    writeFileSync(
      join(folder, 'cd/boot.bin'),
      Buffer.concat([Uint8Array.from(bootCode({ by: 'lba', sector: 16 }))], 2048),
    );
    const path = join(folder, 'cd.iso');
    const boot = ['-b', 'boot.bin', '-no-emul-boot', '-boot-load-size', '4'];
    execFileSync('genisoimage', ['-quiet', '-o', path, ...boot, join(folder, 'cd')]);
    const output = run(
      machineWith(
        [
          { type: 'virtio-blk', path: diskWith('DISK'), format: 'raw' },
          { type: controller },
          { type: drive, path, format: 'raw' },
        ],
        { boot: { kind: 'firmware', order: ['cdrom', 'disk'] } },
      ),
    );
    expect(output).toContain('CD001');
    expect(output).not.toContain('DISK\r\n');
  });

  test('boots a kernel by its real-mode entry point, with command line and initrd', {
    timeout: TIMEOUT,
  }, () => {
    const folder = temporaryFolder();
    const path = join(folder, 'kernel');
    const [object, initrd] = [join(folder, 'kernel.o'), join(folder, 'initrd')];
    execFileSync('gcc', ['-c', '-o', object, join(import.meta.dirname, 'real-mode-kernel.S')]);
    execFileSync('ld', ['-Ttext=0', '-e', '0', '--oformat', 'binary', '-o', path, object]);
    writeFileSync(initrd, 'THE INITRD\0'.padEnd(5000, 'x'));
    const kernel = { path, initrd, append: 'console=none quiet' };
    const disk = { type: 'virtio-blk', path: diskWith('DISK'), format: 'raw' } as const;
    const output = run(machineWith([disk], { boot: { kind: 'firmware', kernel } }));
    expect(output).toContain('console=none quiet\nCODE AT 1 MIB\nTHE INITRD\n');
    expect(output).not.toContain('DISK\r\n');
  });

  test('assigns PCI addresses itself, with 3 GiB of RAM below them', { timeout: TIMEOUT }, () => {
    const path = diskWith('WITH 3 GIB');
    const machine = machineWith(
      [
        { type: 'virtio-blk', path, format: 'raw', bus: 'port' },
        { type: 'root-port', name: 'port' },
      ],
      { memory: { bytes: 3072 * MiB }, cpus: 2 },
    );
    const { pci } = machine.machine.parts.chipset;
    expect(pci.ecam).toBeNull();
    const output = run(machine);
    expect(output).toContain('WITH 3 GIB');
    expect(output).toContain('Found 2 cpu(s)');
    expect(pci.ecam).toEqual({ start: 0xb000_0000, buses: 256 });
    expect(pci.readConfig(1, 0, 0, 4)).toBe(0x1042_1af4);
    expect(machine.ram.regions.map(({ address, size }) => [address, size])).toEqual([
      [0, 2048 * MiB],
      [4096 * MiB, 1024 * MiB],
    ]);
  });

  test('reboots after a reset in place', { timeout: TIMEOUT }, () => {
    const path = diskWith('TWICE');
    const machine = machineWith([{ type: 'virtio-blk', path, format: 'raw' }]);
    const { machine: life, loop } = machine;
    let resets = 0;
    machine.onPrinted = () => {
      if (resets > 0 || !said(machine).includes('Booting from 0000:7c00')) return;
      resets++;
      const release = life.quiesce(() => {
        machine.printed.length = 0;
        life.reset(failure => {
          expect(failure).toBeNull();
          loop.at(0n, release);
        });
      });
    };
    const output = run(machine);
    expect(resets).toBe(1);
    expect(output).toContain('Running on QEMU (q35)');
    expect(output).toContain('TWICE');
  });

  test('finds the vCPUs that are present, and those that were added before a reset', {
    timeout: TIMEOUT,
  }, () => {
    const disk = { type: 'virtio-blk', path: diskWith('TWICE'), format: 'raw' };
    const machine = machineWith([disk], { cpus: 1, maxCpus: 4 });
    const { machine: life, loop } = machine;
    let first: string | null = null;
    machine.onPrinted = () => {
      if (first !== null || !said(machine).includes('Booting from 0000:7c00')) return;
      first = said(machine);
      for (const index of [1, 2]) life.addVcpu(index);
      const release = life.quiesce(() => {
        machine.printed.length = 0;
        life.reset(failure => {
          expect(failure).toBeNull();
          loop.at(0n, release);
        });
      });
    };
    const output = run(machine);
    expect(first).toContain('Found 1 cpu(s) max supported 4 cpu(s)');
    expect(output).toContain('Found 3 cpu(s) max supported 4 cpu(s)');
    expect(output).toContain('TWICE');
  });
});

test.skipIf(noKvm !== null)(onKvm('a file that is not firmware is rejected'), () => {
  const path = join(temporaryFolder(), 'bios.bin');
  writeFileSync(path, new Uint8Array(1000));
  expect(() => machineWith([], { boot: { kind: 'firmware', path } })).toThrow(/bios.bin is not firmware/);
});
