import { readFileSync } from 'node:fs';
import { RamError } from './memory.ts';

const KiB = 2 ** 10;
const GiB = 2 ** 30;

/**
 * Guest RAM is taken from the host as the guest touches it, so VMs may have more together than there is. One VM with more
 * than the host could ever give it is a mistake, and costs even while it is not touched: KVM keeps tables for every page.
 * @param meminfo what /proc/meminfo says. @throws RamError
 */
export function checkHostMemory(bytes: number, meminfo = readFileSync('/proc/meminfo', 'utf8')): void {
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  const host = (field('MemTotal') + field('SwapTotal')) * KiB;
  if (bytes <= host) return;
  throw new RamError(
    `the VM is to have ${gib(bytes)} of memory, but the host has ${gib(host)}, swap space included: give the VM less`,
  );
}

function gib(bytes: number): string {
  return `${Math.floor((bytes / GiB) * 10) / 10} GiB`;
}
