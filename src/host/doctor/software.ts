import { type Distribution, type DistributionFamily, findProgram, installCommand } from '../distribution.ts';
import { pciIdsPaths } from '../pci/pci-ids.ts';
import type { HostRoot } from '../root.ts';
import { type Finding, ok } from './finding.ts';

type Package = {
  readonly id: string;
  readonly name: string;
  readonly why: string;
  readonly packages: Readonly<Record<DistributionFamily, string>>;
  /** One of these is enough. */
  readonly files: readonly string[];
};

const libraries = ['/usr/lib64', '/usr/lib', '/usr/lib/x86_64-linux-gnu', '/usr/local/lib'];

const packages: readonly Package[] = [
  {
    id: 'software.libslirp',
    name: 'libslirp',
    why: 'networks for guests that need no privilege',
    packages: same('libslirp', { debian: 'libslirp0', suse: 'libslirp0' }),
    files: libraries.map(directory => `${directory}/libslirp.so.0`),
  },
  {
    id: 'software.seabios',
    name: 'SeaBIOS',
    why: 'the BIOS of guests that do not boot a kernel directly',
    packages: same('seabios', { redhat: 'seabios-bin', suse: 'qemu-seabios' }),
    files: ['/usr/share/seabios/bios-256k.bin', '/usr/share/qemu/bios-256k.bin'],
  },
  {
    id: 'software.ovmf',
    name: 'OVMF',
    why: 'the UEFI firmware of guests, graphics cards among their devices included',
    packages: same('edk2-ovmf', { debian: 'ovmf', suse: 'qemu-ovmf-x86_64' }),
    files: [
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
      '/usr/share/OVMF/OVMF_CODE.fd',
      '/usr/share/edk2/ovmf/OVMF_CODE.fd',
      '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
      '/usr/share/qemu/ovmf-x86_64-code.bin',
    ],
  },
  {
    id: 'software.ipxe',
    name: 'iPXE',
    why: 'guests boot from the network with them',
    packages: same('ipxe', { debian: 'ipxe-qemu', redhat: 'ipxe-roms-qemu', suse: 'qemu-ipxe' }),
    files: [
      '/usr/lib/ipxe/qemu/pxe-virtio.rom',
      '/usr/share/ipxe/qemu/pxe-virtio.rom',
      '/usr/share/ipxe/1af41000.rom',
      '/usr/share/qemu/pxe-virtio.rom',
    ],
  },
  {
    id: 'software.pci-ids',
    name: 'pci.ids',
    why: 'the names of PCI devices',
    packages: same('hwdata', { debian: 'pci.ids' }),
    files: pciIdsPaths,
  },
];

function same(
  name: string,
  other: Partial<Record<DistributionFamily, string>>,
): Record<DistributionFamily, string> {
  return { debian: name, redhat: name, suse: name, arch: name, other: name, ...other };
}

/** Files whose presence the findings ask for: a recording has to have them too. */
export const softwareFiles: readonly string[] = packages.flatMap(each => each.files);

export function softwareFindings(root: HostRoot, distribution: Distribution): Finding[] {
  return [...packages.map(each => packageFinding(root, distribution, each)), ipFinding(root, distribution)];
}

function packageFinding(root: HostRoot, distribution: Distribution, each: Package): Finding {
  const file = each.files.find(path => root.exists(path));
  if (file) return ok(each.id, 'software', `${each.name}: ${file}`, each.why);
  return {
    id: each.id,
    area: 'software',
    state: 'warn',
    title: `${each.name} is not installed`,
    why: each.why,
    repair: [installCommand(distribution, each.packages)],
  };
}

/** VFs' addresses and VLANs are set through it. */
function ipFinding(root: HostRoot, distribution: Distribution): Finding {
  const id = 'software.iproute2';
  const why = 'MAC address, VLAN and trust of virtual functions are read and set through it';
  const path = findProgram(root, 'ip');
  if (path) return ok(id, 'software', `ip: ${path}`, why);
  const names = same('iproute', { debian: 'iproute2', suse: 'iproute2', arch: 'iproute2' });
  return {
    id,
    area: 'software',
    state: 'warn',
    title: 'ip (iproute2) is not installed',
    why,
    repair: [installCommand(distribution, names)],
  };
}
