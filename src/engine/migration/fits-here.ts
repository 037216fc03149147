import { existsSync } from 'node:fs';
import { deviceTable } from '../../devices/registry.ts';
import { featuresHere } from '../../vmm/cpu/host-cpu.ts';
import { tscHere, tscProblems } from '../../vmm/cpu/host-tsc.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { MigrationFacts } from '../../vmm/machine/messages.ts';
import { checkHostMemory } from '../../vmm/memory/host-memory.ts';
import { HUGEPAGES, missingHugepages, readHugepages } from '../../vmm/memory/hugepages.ts';
import { type FileIdentity, identify } from '../../vmm/snapshot/file-identity.ts';
import { cpuProblems, filesOfBoot } from '../../vmm/snapshot/fit.ts';

type SentDisk = MigrationFacts['disks'][number];

/** Why a VM of another host cannot run here, as far as can be known before it is sent; a sentence each. */
export function whyNotHere(config: MachineConfig, { cpu, tscKhz, disks }: MigrationFacts): string[] {
  return [
    ...cpuHere(cpu),
    ...tscProblems(tscKhz, tscHere()),
    ...memoryHere(config),
    ...filesOfBoot(config.boot)
      .filter(file => !existsSync(file))
      .map(file => `${file} does not exist here, which its guest boots from after a reset`),
    ...config.deviceModules
      .filter(file => !existsSync(file))
      .map(file => `its device module ${file} does not exist here`),
    ...disks.flatMap(disk => diskHere(disk, identify)),
    ...networksHere(config),
  ];
}

function cpuHere(cpu: MigrationFacts['cpu']): string[] {
  const here = featuresHere();
  return here === null
    ? ['/dev/kvm cannot be used here: vring doctor says why']
    : cpuProblems({ vendor: cpu.vendor, features: [...cpu.features] }, here);
}

function memoryHere({ memory }: MachineConfig): string[] {
  try {
    checkHostMemory(memory.bytes);
    const { bytes, hugepages } = memory;
    if (hugepages === undefined) return [];
    const pool = readHugepages(hugepages);
    return pool.available * HUGEPAGES[hugepages].bytes >= bytes
      ? []
      : [missingHugepages(bytes, hugepages, pool)];
  } catch (error) {
    return [(error as Error).message];
  }
}

/**
 * Both hosts must see the same file: a copy of it at the same path would be another disk. @param identityOf null if
 * there is no such file
 */
export function diskHere(
  { path, isBlockDevice, identity, backing = [] }: SentDisk,
  identityOf: (path: string) => FileIdentity | null,
): string[] {
  const files = [{ path, isBlockDevice, ino: identity.ino }].concat(
    backing.map(file => ({
      path: file.path,
      isBlockDevice: file.identity.size === 0,
      ino: file.identity.ino,
    })),
  );
  return files.flatMap(({ path, isBlockDevice, ino }) => {
    const here = identityOf(path);
    if (here === null)
      return [`its disk ${path} does not exist here: put it on storage that both hosts share`];
    // A block device has a number of its own on each host. An image may grow while the guest runs.
    if (isBlockDevice) return [];
    return here.ino === ino
      ? []
      : [`its disk ${path} is another file here: put it on storage that both hosts share`];
  });
}

function networksHere({ devices }: MachineConfig): string[] {
  return devices.flatMap(device => {
    const network = deviceTable.find(device.type) === undefined ? null : deviceTable.network(device);
    if (network?.options.type !== 'bridge') return [];
    const { bridge } = network.options;
    return existsSync(`/sys/class/net/${bridge}`) ? [] : [`there is no bridge ${bridge} here`];
  });
}
