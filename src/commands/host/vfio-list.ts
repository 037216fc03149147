import { type NextBoot, readNextBoot } from '../../host/boot/next-boot.ts';
import type { PciFunction } from '../../host/pci/function.ts';
import { readPci } from '../../host/pci/read.ts';
import type { HostRoot } from '../../host/root.ts';
import { holderText } from '../../host/use/holders.ts';
import { readOpenFiles } from '../../host/use/open-files.ts';
import type { ModuleState } from '../../host/vfio/modules.ts';
import { isParkingDriver, readVfio, type VfioDevice, type VfioState } from '../../host/vfio/read.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import { paragraph } from './paragraph.ts';
import { shortDeviceName, shortener } from './short-names.ts';
import { tableLines } from './table.ts';
import { type ListedOwner, listedOwners, NO_OWNERS, ownerColumn } from './vm-owners.ts';

export type VfioListing = VfioState & {
  /** Bound to a VFIO driver or pci-stub now or at the next boot, or used by a VM. */
  readonly functions: readonly (PciFunction & {
    readonly vfio: VfioDevice | null;
    readonly nextBoot: NextBoot | null;
    readonly vms: readonly ListedOwner[];
  })[];
};

export async function listVfio(root: HostRoot, owners: DeviceOwners = NO_OWNERS): Promise<VfioListing> {
  const functions = readPci(root);
  const vfio = readVfio(await readOpenFiles(root), functions);
  const nextBoot = readNextBoot(root, functions);
  const devices = new Map(vfio.devices.map(device => [device.address, device]));
  return {
    ...vfio,
    functions: functions
      .filter(
        fn =>
          owners.has(fn.address) ||
          isParkingDriver(fn.driver) ||
          isParkingDriver(nextBoot.get(fn.address)?.driver ?? null),
      )
      .map(fn => ({
        ...fn,
        vfio: devices.get(fn.address) ?? null,
        nextBoot: nextBoot.get(fn.address) ?? null,
        vms: listedOwners(owners, fn.address),
      })),
  };
}

export function vfioLines(listing: VfioListing, cells: number): string[] {
  const modules = `modules: ${listing.modules.map(moduleText).join(', ')}`;
  const nodes = [listing.container?.path, listing.iommufd?.path].filter(Boolean);
  const heading = [
    ...paragraph(modules, cells, '  '),
    `nodes: ${nodes.length > 0 ? nodes.join(', ') : 'none'}`,
  ];
  const blind = listing.holdersComplete
    ? []
    : ['', "cannot see whether other users' processes have devices open: run as root"];
  if (listing.functions.length === 0) {
    return [
      ...heading,
      '',
      'no function is bound to a VFIO driver: bind one with vring vfio bind ADDRESS',
      ...blind,
    ];
  }
  const short = shortener(listing.functions.map(fn => fn.address));
  const table = tableLines(
    listing.functions,
    [
      { title: 'ADDRESS', text: fn => short(fn.address) },
      { title: 'NOW', text: fn => fn.driver ?? '-' },
      ...ownerColumn(listing.functions, fn => fn.vms),
      { title: 'NEXT BOOT', text: fn => nextText(fn), least: 9 },
      { title: 'NODE', text: ({ vfio }) => vfio?.groupNode?.path ?? vfio?.deviceNode?.path ?? '' },
      { title: 'OPEN IN', text: ({ vfio }) => (vfio?.holders ?? []).map(holderText).join(', '), least: 12 },
      { title: 'DEVICE', text: shortDeviceName, least: 16, rank: 1 },
    ],
    cells,
  );
  const problems = listing.functions.flatMap(fn =>
    (fn.nextBoot?.problems ?? []).flatMap(problem =>
      paragraph(`${short(fn.address)}: ${problem}`, cells, '  '),
    ),
  );
  return [...heading, '', ...table, ...(problems.length > 0 ? ['', ...problems] : []), ...blind];
}

function moduleText({ name, state }: ModuleState): string {
  return state === 'loaded' ? name : `${name} (${state})`;
}

/** `=` if the next boot changes nothing. */
function nextText({ nextBoot, driver }: VfioListing['functions'][number]): string {
  if (nextBoot === null || nextBoot.drift === null) return '=';
  if (nextBoot.driver !== null) return nextBoot.driver === driver ? '=' : nextBoot.driver;
  return nextBoot.drift.replace(/^.* now, /, '').replace(/ after a boot$/, '');
}
