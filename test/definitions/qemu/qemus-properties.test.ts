import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';
import { deviceTable } from '../../../src/devices/registry.ts';

/** QEMU's own list of a device's properties: `  serial=<str>  - ...`. None of a device that it does not have. */
function properties(device: string): { name: string; type: string }[] {
  try {
    const help = execFileSync('qemu-system-x86_64', ['-device', `${device},help`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return [...help.matchAll(/^ {2}([\w.-]+)=<(?!child|link)([^>]*)>/gm)].map(([, name, type]) => ({
      name: name!,
      type: type!,
    }));
  } catch {
    return [];
  }
}

function sampleOf(type: string): string {
  if (/^(bool|OnOff)/.test(type)) return 'on';
  return type === 'size' ? '1M' : '1';
}

/** What a device needs: options before it, and settings. */
function needs(device: string): { before: string[]; settings: string } {
  const disk = ['-drive', 'if=none,id=d,file=d,format=raw'];
  if (/^scsi-/.test(device)) return { before: [...disk, '-device', 'virtio-scsi-pci'], settings: ',drive=d' };
  if (/^sd-card/.test(device)) return { before: [...disk, '-device', 'sdhci-pci'], settings: ',drive=d' };
  if (device === 'usb-storage') return { before: [...disk, '-device', 'qemu-xhci'], settings: ',drive=d' };
  if (device === 'nvme-ns') return { before: [...disk, '-device', 'nvme,serial=n'], settings: ',drive=d' };
  if (device === 'nvme') return { before: disk, settings: ',drive=d,serial=n' };
  if (/^(virtio-blk|ide-(hd|cd)|floppy)/.test(device)) return { before: disk, settings: ',drive=d' };
  if (/^usb-/.test(device)) return { before: ['-device', 'qemu-xhci'], settings: '' };
  if (/^virt(console|serialport)/.test(device))
    return { before: ['-device', 'virtio-serial-pci', '-chardev', 'null,id=c'], settings: ',chardev=c' };
  if (/^isa-(serial|parallel|debugcon)/.test(device))
    return { before: ['-chardev', 'null,id=c'], settings: ',chardev=c' };
  if (/^tpm-/.test(device))
    return {
      before: ['-chardev', 'socket,id=c,path=/s', '-tpmdev', 'emulator,id=t,chardev=c'],
      settings: ',tpmdev=t',
    };
  if (/^vfio-/.test(device)) return { before: [], settings: ',host=01:00.0' };
  if (/^(virtio-net|e1000|i8255|ne2k|pcnet|rtl8139)/.test(device))
    return { before: ['-netdev', 'user,id=n'], settings: ',netdev=n' };
  return { before: [], settings: '' };
}

/** The message for a device with this property; null if it is accepted. */
function problem(device: string, name: string, type: string): string | null {
  const { before, settings } = needs(device);
  if (settings.includes(`,${name}=`)) return null;
  const words = ['-kernel', '/k', ...before, '-device', `${device}${settings},${name}=${sampleOf(type)}`];
  try {
    readQemuOptions(words, 'web', { cwd: '/', exists: () => true });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The names on QEMU's list of CPU features, less those that are no bit of CPUID. */
function cpuFeatures(): string[] {
  const help = execFileSync('qemu-system-x86_64', ['-cpu', 'help'], { encoding: 'utf8' });
  return help
    .split('Recognized CPUID flags:')[1]!
    .trim()
    .split(/\s+/)
    .filter(name => name !== 'full-width-write' && name !== 'intel-pt-lip');
}

const DEVICES = deviceTable.rows.flatMap(({ qemu }) => qemu?.devices.slice(0, 1) ?? []);

test('every property of a device in QEMU is known', () => {
  let known = 0;
  const unknown: string[] = [];
  for (const device of DEVICES) {
    for (const { name, type } of properties(device)) {
      const message = problem(device, name, type);
      if (message?.includes(`does not support "${name}"`) || message?.includes('device module')) {
        unknown.push(`${device},${name}: ${message}`);
      } else known++;
    }
  }
  expect(unknown).toEqual([]);
  expect(known).toBeGreaterThan(800);
  expect(problem('virtio-blk-pci', 'nonsense', 'str')).toContain('does not support "nonsense"');
});

test('every CPU feature in QEMU can be removed', () => {
  const names = cpuFeatures();
  expect(names.length).toBeGreaterThan(300);
  for (const name of names) {
    const words = ['-kernel', '/k', '-cpu', `host,${name}=off`];
    expect(() => readQemuOptions(words, 'web', { cwd: '/', exists: () => true }), name).not.toThrow();
  }
  const words = ['-kernel', '/k', '-cpu', 'host,nonsense=off'];
  expect(() => readQemuOptions(words, 'web', { cwd: '/', exists: () => true })).toThrow('no CPU feature');
});
