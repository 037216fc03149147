import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { type DisplayUse, readDisplays } from './display.ts';
import { type NetworkInterface, type NetworkRole, networkRoles, readNetwork } from './network.ts';
import { type Disk, readStorage } from './storage.ts';

/** How the host uses a PCI function. */
export type FunctionUse = {
  readonly interfaces: readonly (NetworkInterface & { readonly roles: readonly NetworkRole[] })[];
  /** It has a network interface in another network namespace, usually that of a container. */
  readonly hiddenInterface: boolean;
  readonly disks: readonly Disk[];
  readonly display: DisplayUse | null;
};

export const unused: FunctionUse = { interfaces: [], hiddenInterface: false, disks: [], display: null };

/** By PCI address; a function without an entry is {@link unused}. */
export function readUse(root: HostRoot, functions: readonly PciFunction[]): Map<string, FunctionUse> {
  const { disks, remote } = readStorage(root);
  const network = readNetwork(root, remote);
  const interfaces = Map.groupBy(network, each => each.function);
  const displays = readDisplays(root, functions);
  const result = new Map<string, FunctionUse>();
  for (const fn of functions) {
    const use: FunctionUse = {
      interfaces: (interfaces.get(fn.address) ?? []).map(each => ({
        ...each,
        roles: networkRoles(each.name, network),
      })),
      hiddenInterface: !interfaces.has(fn.address) && hasHiddenInterface(root, fn),
      disks: disks.filter(disk => disk.functions.includes(fn.address)),
      display: displays.get(fn.address) ?? null,
    };
    if (use.interfaces.length + use.disks.length > 0 || use.display || use.hiddenInterface) {
      result.set(fn.address, use);
    }
  }
  return result;
}

/** The `net` directory remains, empty, when its interface is moved to another namespace. */
function hasHiddenInterface(root: HostRoot, fn: PciFunction): boolean {
  if (!fn.class.startsWith('02') || fn.driver === null) return false;
  const virtio =
    fn.driver === 'virtio-pci' ? (root.list(fn.path) ?? []).filter(name => /^virtio\d+$/.test(name)) : [];
  return ['net', ...virtio.map(name => `${name}/net`)].some(
    name => root.exists(`${fn.path}/${name}`) && root.list(`${fn.path}/${name}`)?.length === 0,
  );
}

/** In a few words, most important first, for a table's column: `default route, 192.0.2.7/24 on bond0`. */
export function useSummary(use: FunctionUse): string {
  const words = [
    ...use.interfaces.flatMap(each => {
      const strongest = each.roles[0];
      return [strongest ? `${each.name}: ${strongest.text}` : each.name];
    }),
    ...(use.hiddenInterface ? ['interface in another network namespace'] : []),
    ...use.disks.map(disk => {
      const strongest = disk.roles.find(role => role.kind === 'mount') ?? disk.roles[0];
      return strongest ? `${disk.name}: ${strongest.text}` : disk.name;
    }),
    ...(use.display?.console ? ['console'] : []),
    ...(use.display?.serialConsoles.map(name => `console ${name}`) ?? []),
    ...(use.display?.cards.map(card => card.name) ?? []),
  ];
  return words.join('; ');
}
