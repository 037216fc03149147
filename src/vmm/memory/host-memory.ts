import { readFileSync } from 'node:fs';
import { RamError } from './ram-blocks.ts';

const KiB = 2 ** 10;
const GiB = 2 ** 30;

/**
 * Guest RAM is allocated as the guest touches it, so VMs may overcommit the host's memory. A single VM with more than
 * the host has is a mistake, and costs memory even if untouched: KVM keeps tables for every page.
 * @param meminfo contents of /proc/meminfo. @throws RamError
 */
export function checkHostMemory(bytes: number, meminfo = readFileSync('/proc/meminfo', 'utf8')): void {
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  const host = (field('MemTotal') + field('SwapTotal')) * KiB;
  if (bytes <= host) return;
  throw new RamError(
    `the VM needs ${gib(bytes)} of memory, but the host has ${gib(host)} including swap: give the VM less`,
  );
}

function gib(bytes: number): string {
  return `${Math.floor((bytes / GiB) * 10) / 10} GiB`;
}
