import { type DiskLimits, limitsProblem, limitsText } from '../devices/backends/disk.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { own } from '../text/own.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { textEdit } from '../text/text-edit.ts';
import { deviceRows } from '../view/device-rows.ts';
import type { DeviceLabel } from '../vmm/machine/topology.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';

/** The disk at the cursor, or why there is none. */
function diskAtCursor({ state, vm }: ActionContext): DeviceLabel | string {
  if (vm === null) return NO_VM;
  if (vm.state !== 'running' && vm.state !== 'paused') return `${vm.name} is ${vm.state}`;
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

function factOf({ facts }: DeviceLabel, label: string) {
  return facts.find(fact => fact.label === label)?.value;
}

function ask(ui: Ui, prompt: string, suggestion: string, submit: (text: string) => Promise<void>): void {
  // The prompt is where a message would be.
  ui.clearNotice();
  ui.store.getState().pushLayer({
    kind: 'prompt',
    prompt,
    edit: textEdit(suggestion),
    inRowOf: null,
    range: null,
    submit: text => void ui.attempt(submit(text)),
  });
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

const RATES: Readonly<Record<string, (text: string) => number | null>> = {
  iops: text => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : null),
  'iops-burst': text => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : null),
  bps: bytesOf,
  'bps-burst': bytesOf,
};

/** `iops=500 bps=50M`; `none` or nothing: no limits. @throws an error for the user */
function parseLimits(text: string): DiskLimits {
  const words = text.split(/[\s,]+/).filter(word => word !== '' && word !== 'none');
  const limits: DiskLimits = Object.fromEntries(
    words.map(word => {
      const [key = '', value = ''] = word.split('=', 2);
      const rate = own(RATES, key)?.(value) ?? null;
      if (rate === null)
        throw new Error(
          `"${word}" is not a limit: expected iops=500, iops-burst=2000, bps=50M or bps-burst=200M`,
        );
      return [key, rate];
    }),
  );
  const problem = limitsProblem(limits);
  if (problem !== null) throw new Error(`${problem.key}: ${problem.message}`);
  return limits;
}

/** What changes a disk while its VM runs. */
export const diskActions: readonly Action[] = [
  {
    name: 'resize-disk',
    category: 'Virtual machine',
    label: 'resize',
    phrase: 'resize the disk',
    description: 'Resize a disk, or use the new size of its file or device, and notify the guest',
    screens: ['vm'],
    changes: 'vm',
    unavailable: noDisk,
    run: context => {
      const { ui, vm } = context;
      const disk = diskAtCursor(context) as DeviceLabel;
      const size = sizeText(Number(factOf(disk, 'size')));
      ask(ui, `Size of ${disk.name} (nothing: as its file has it now)`, size, text =>
        resize(ui, vm!, disk.name, text.trim()),
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
    changes: 'vm',
    unavailable: noDisk,
    run: context => {
      const { ui, vm } = context;
      const disk = diskAtCursor(context) as DeviceLabel;
      const present = String(factOf(disk, 'limits') ?? 'none');
      ask(ui, `Limits of ${disk.name}, such as iops=500 bps=50M (now: ${present})`, '', text =>
        limit(ui, vm!, disk.name, text),
      );
    },
  },
];
