import type { NextBoot } from '../host/boot/next-boot.ts';
import type { PciSummary } from '../host/pci/function.ts';
import type { FunctionUse } from '../host/use/use.ts';
import { isParkingDriver } from '../host/vfio/read.ts';

/** How the host uses a function, in as few words as a table column needs: `ens1f0 ssh route`. */
export function wordsOfUse(use: FunctionUse | undefined): string {
  if (use === undefined) return '';
  const words = [
    ...use.interfaces.map(({ name, roles }) => [name, ...new Set(roles.map(networkWord))].join(' ')),
    ...(use.hiddenInterface ? ['container network'] : []),
    ...use.disks.map(({ name, roles }) => [name, ...new Set(roles.flatMap(storageWord))].join(' ')),
    ...(use.display?.console ? ['console'] : []),
    ...(use.display?.serialConsoles ?? []),
    ...(use.display?.cards.map(card => card.name) ?? []),
  ];
  return words.join(', ');
}

type NetworkRole = FunctionUse['interfaces'][number]['roles'][number];
type StorageRole = FunctionUse['disks'][number]['roles'][number];

function networkWord({ kind, through }: NetworkRole): string {
  switch (kind) {
    case 'ssh':
      return 'ssh';
    case 'storage':
    case 'idle-storage':
      return 'storage';
    case 'default-route':
    case 'route':
      return 'route';
    case 'address':
      return 'address';
    case 'upper':
      return through.at(-1)!;
  }
}

function storageWord({ kind, text, active }: StorageRole): string[] {
  if (!active) return [];
  // A mount is best known by its mount point.
  if (kind === 'mount') return [text.replace('mounted on ', '')];
  return kind === 'mapping' ? [] : [kind];
}

/** Whether the host would lose something that it depends on now. */
export function isInUse(use: FunctionUse | undefined): boolean {
  if (use === undefined) return false;
  return (
    use.interfaces.some(({ roles }) => roles.length > 0) ||
    use.disks.some(({ roles }) => roles.some(role => role.active)) ||
    use.display?.console === true ||
    (use.display?.serialConsoles.length ?? 0) > 0
  );
}

/** Whether a function is away from the host now, or is configured to be at the next boot. */
export function changesHands(fn: PciSummary, next: NextBoot | undefined): boolean {
  return (
    isParkingDriver(fn.driver) || (next !== undefined && (next.driver !== null || next.problems.length > 0))
  );
}
