import { type Distribution, type DistributionFamily, findProgram, installCommand } from '../distribution.ts';
import { pciIdsPaths } from '../pci/pci-ids.ts';
import type { HostRoot } from '../root.ts';
import { type Finding, ok } from './finding.ts';

/** Host software that vring uses; nothing else is recommended. */
type Software = {
  readonly id: string;
  readonly name: string;
  readonly why: string;
  readonly packages: Readonly<Record<DistributionFamily, string>>;
  /** One of these is enough. */
  readonly programs?: readonly string[];
  readonly files?: readonly string[];
};

const used: readonly Software[] = [
  {
    id: 'software.pci-ids',
    name: 'pci.ids',
    why: 'provides the names of PCI devices',
    packages: same('hwdata', { debian: 'pci.ids' }),
    files: pciIdsPaths,
  },
  {
    id: 'software.iproute2',
    name: 'ip (iproute2)',
    why: 'reads and sets MAC address, VLAN and trust of virtual functions',
    packages: same('iproute', { debian: 'iproute2', suse: 'iproute2', arch: 'iproute2' }),
    programs: ['ip'],
  },
  {
    id: 'software.qemu-img',
    name: 'qemu-img',
    why: 'vring vm create needs it to unpack compressed cloud images',
    packages: same('qemu-img', { debian: 'qemu-utils' }),
    programs: ['qemu-img'],
  },
  {
    id: 'software.seed-image',
    name: 'genisoimage or xorriso',
    why: 'vring vm create needs it to build the cloud-init seed image',
    packages: same('xorriso', { arch: 'libisoburn' }),
    programs: ['genisoimage', 'xorriso', 'mkisofs', 'cloud-localds'],
  },
];

function same(
  name: string,
  other: Partial<Record<DistributionFamily, string>>,
): Record<DistributionFamily, string> {
  return { debian: name, redhat: name, suse: name, arch: name, other: name, ...other };
}

export function softwareFindings(root: HostRoot, distribution: Distribution): Finding[] {
  return used.map(each => softwareFinding(root, distribution, each));
}

function softwareFinding(root: HostRoot, distribution: Distribution, each: Software): Finding {
  const { id, name, why, programs = [], files = [] } = each;
  const program = programs.map(file => findProgram(root, file)).find(path => path !== null);
  const path = program ?? files.find(file => root.exists(file));
  if (path) return ok(id, 'software', `${name}: ${path}`, why);
  return {
    id,
    area: 'software',
    state: 'warn',
    title: `${name} is not installed`,
    why,
    repair: [installCommand(distribution, each.packages)],
  };
}
