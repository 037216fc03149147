import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootDisk } from '../test/support/boot-sector.ts';
import { VRING, workDirectory } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const TEXT = 'this is the boot sector';

/**
 * From the command until SeaBIOS has booted a sector from a virtio disk, which prints by INT 10h and on the debug
 * console.
 */
export async function measureFirmware(): Promise<Measurement[]> {
  const disk = join(workDirectory, 'boot.img');
  writeFileSync(disk, bootDisk(TEXT));
  const qemu = [
    ...['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host,arch-capabilities=off', '-m', '64'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none'],
    ...['-drive', `file=${disk},if=none,id=d0,format=raw`, '-device', 'virtio-blk-pci,drive=d0'],
    ...['-chardev', 'stdio,id=console', '-device', 'isa-debugcon,iobase=0x402,chardev=console'],
  ];
  const vring = ['run', '--disk', `${disk},format=raw`, '--memory', '64M', '--no-rng'];
  const values = await alternate(ROUNDS, {
    vring: () => untilPrinted(VRING, vring),
    QEMU: () => untilPrinted('qemu-system-x86_64', qemu),
  });
  return [
    {
      what: 'SeaBIOS, power-on to boot sector',
      unit: 'ms',
      values,
      target: atMost(1, 'x QEMU', values.vring / values.QEMU),
    },
  ];
}

/** @returns milliseconds until the program has printed the boot sector's text; the program is then ended */
async function untilPrinted(program: string, args: readonly string[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let text = '';
  for await (const bytes of child.stdout) {
    text += bytes;
    if (text.includes(TEXT)) break;
  }
  const ms = performance.now() - begun;
  child.kill('SIGKILL');
  await exited;
  if (!text.includes(TEXT)) throw new Error(`${program} did not boot the disk:\n${text}`);
  return ms;
}
