import path from 'node:path';
import { type DiskLimits, limitsProblem, limitsText } from '../devices/backends/disk.ts';
import { resizeRefusal } from '../engine/resize-refusal.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isUp } from '../engine/vm-info.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { deviceRows } from '../view/device-rows.ts';
import type { DeviceLabel } from '../vmm/machine/topology.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import { askForText, parseRates } from './rates.ts';
import type { Ui } from './ui.ts';

/** The disk at the cursor, or why there is none. */
function diskAtCursor({ state, vm }: ActionContext): DeviceLabel | string {
  if (vm === null) return NO_VM;
  if (!isUp(vm)) return `${vm.name} is ${vm.state}`;
  const { tab, cursors } = vmViewOf(state, vm.id);
  if (tab !== 'disks' && tab !== 'devices') return 'choose a disk first, in the list of disks or devices';
  const rows = deviceRows(vm, null, tab === 'disks' ? 'disk' : undefined);
  const row = rows[Math.min(cursors[tab], rows.length - 1)];
  if (row === undefined) return `${vm.name} has no disks`;
  return row.backend === 'disk' ? row : `${row.name} is not a disk`;
}

function noDisk(context: ActionContext): string | null {
  const disk = diskAtCursor(context);
  return typeof disk === 'string' ? disk : null;
}

function notResizable(context: ActionContext): string | null {
  const disk = diskAtCursor(context);
  return typeof disk === 'string' ? disk : resizeRefusal(context.vm!.name, disk);
}

function factOf({ facts }: DeviceLabel, label: string) {
  return facts.find(fact => fact.label === label)?.value;
}

async function resize(ui: Ui, vm: VmInfo, disk: string, text: string): Promise<void> {
  const bytes = text === '' ? null : bytesOf(text);
  if (text !== '' && bytes === null) throw new Error(`"${text}" is not a size: expected one such as 20G`);
  const size = await ui.engine.resizeDisk(vm.id, disk, { bytes, shrink: false });
  ui.notify('info', `${vm.name}: ${disk} has ${sizeText(size)} now`);
}

async function limit(ui: Ui, vm: VmInfo, disk: string, text: string): Promise<void> {
  const limits = parseLimits(text);
  await ui.engine.limitDisk(vm.id, disk, limits);
  ui.notify('info', `${vm.name}: limits of ${disk}: ${limitsText(limits)}`);
}

const number = (text: string) => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : null);

const RATES = { iops: number, 'iops-burst': number, bps: bytesOf, 'bps-burst': bytesOf };

/** `iops=500 bps=50M`; `none` or empty for no limits. @throws an error for the user */
function parseLimits(text: string): DiskLimits {
  const limits: DiskLimits = parseRates(text, RATES, 'iops=500, iops-burst=2000, bps=50M or bps-burst=200M');
  const problem = limitsProblem(limits);
  if (problem !== null) throw new Error(`${problem.key}: ${problem.message}`);
  return limits;
}

/**
 * An empty text ejects the medium. A guest that has locked the drive is asked to release it; `--force` after the path
 * ejects it anyway.
 */
async function change(ui: Ui, vm: VmInfo, drive: string, text: string): Promise<void> {
  const force = / ?--force$/.test(text);
  const file = text.replace(/ ?--force$/, '');
  const medium = file === '' ? null : ({ path: path.resolve(file), cache: 'writeback' } as const);
  await ui.engine.changeMedium(vm.id, drive, { medium, force });
  const now = medium === null ? 'is empty now' : `has ${medium.path} now`;
  ui.notify('info', `${vm.name}: ${drive} ${now}`);
}

function noDrive(context: ActionContext): string | null {
  const disk = diskAtCursor(context);
  if (typeof disk === 'string') return disk;
  return disk.drive ? null : `the medium of ${disk.name} cannot be changed`;
}

/** Actions on disks of a running VM. */
export const diskActions: readonly Action[] = [
  {
    name: 'resize-disk',
    category: 'Virtual machine',
    label: 'resize',
    phrase: 'resize the disk',
    description: 'Resize a disk, or use the new size of its file or device, and notify the guest',
    screens: ['vm'],
    changes: 'vm',
    unavailable: notResizable,
    run: context => {
      const { ui, vm } = context;
      const disk = diskAtCursor(context) as DeviceLabel;
      const size = sizeText(Number(factOf(disk, 'size')));
      askForText(ui, `Size of ${disk.name} (empty: the present size of its file)`, size, text =>
        resize(ui, vm!, disk.name, text.trim()),
      );
    },
  },
  {
    name: 'change-medium',
    category: 'Virtual machine',
    label: 'medium',
    phrase: 'change the medium',
    description: 'Change or eject the medium in a drive',
    screens: ['vm'],
    here: ({ state, vm }) => vm === null || vmViewOf(state, vm.id).tab !== 'networks',
    changes: 'vm',
    unavailable: noDrive,
    run: context => {
      const { ui, vm } = context;
      const drive = diskAtCursor(context) as DeviceLabel;
      const present = String(factOf(drive, 'path'));
      askForText(
        ui,
        `Image file for ${drive.name} (empty: eject; --force: even if the guest has locked it)`,
        present === 'empty' ? '' : present,
        text => change(ui, vm!, drive.name, text.trim()),
      );
    },
  },
  {
    name: 'limit-disk',
    category: 'Virtual machine',
    label: 'limits',
    phrase: 'limit the disk',
    description: "Limit a disk's requests and bytes per second until the VM is off",
    screens: ['vm'],
    here: ({ state, vm }) => vm === null || vmViewOf(state, vm.id).tab !== 'networks',
    changes: 'vm',
    unavailable: noDisk,
    run: context => {
      const { ui, vm } = context;
      const disk = diskAtCursor(context) as DeviceLabel;
      const present = String(factOf(disk, 'limits') ?? 'none');
      askForText(ui, `Limits of ${disk.name}, such as iops=500 bps=50M (now: ${present})`, '', text =>
        limit(ui, vm!, disk.name, text),
      );
    },
  },
];
