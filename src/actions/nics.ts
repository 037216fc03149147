import { DIRECTIONS, type NetLimits, netLimitsText, rateProblem } from '../devices/backends/net-limits.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isUp } from '../engine/vm-info.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { bytesOf } from '../text/size.ts';
import { deviceRows } from '../view/device-rows.ts';
import type { DeviceLabel } from '../vmm/machine/topology.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import { askForText, parseRates } from './rates.ts';
import type { Ui } from './ui.ts';

function isNetTab({ state, vm }: ActionContext): boolean {
  return vm !== null && vmViewOf(state, vm.id).tab === 'networks';
}

/** The network card at the cursor, or why there is none. */
function nicAtCursor({ state, vm }: ActionContext): DeviceLabel | string {
  if (vm === null) return NO_VM;
  if (!isUp(vm)) return `${vm.name} is ${vm.state}`;
  const rows = deviceRows(vm, null, 'net');
  return (
    rows[Math.min(vmViewOf(state, vm.id).cursors.networks, rows.length - 1)] ??
    `${vm.name} has no network cards`
  );
}

function noNic(context: ActionContext): string | null {
  const nic = nicAtCursor(context);
  return typeof nic === 'string' ? nic : null;
}

function factOf({ facts }: DeviceLabel, label: string): string {
  return String(facts.find(fact => fact.label === label)?.value ?? '');
}

async function toggleLink(ui: Ui, { id, name }: VmInfo, nic: DeviceLabel): Promise<void> {
  // A card whose other end is gone counts as plugged in.
  const up = factOf(nic, 'link') === 'down';
  await ui.engine.setLink(id, nic.name, up);
  ui.notify('info', `${name}: the link of ${nic.name} is ${up ? 'up' : 'down'}`);
}

const number = (text: string) => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : null);

const RATES = {
  'rx-bps': bytesOf,
  'rx-bps-burst': bytesOf,
  'rx-pps': number,
  'rx-pps-burst': number,
  'tx-bps': bytesOf,
  'tx-bps-burst': bytesOf,
  'tx-pps': number,
  'tx-pps-burst': number,
};

const PREFIXES = { receive: 'rx-', transmit: 'tx-' } as const;

/** `rx-bps=50M tx-pps=1000`; `none` or empty for no limits. @throws an error for the user */
export function parseNicLimits(text: string): NetLimits {
  const rates = Object.entries(
    parseRates(text, RATES, 'rx-bps=50M, tx-bps=50M, rx-pps=10000 or tx-bps-burst=200M'),
  );
  const limits: Record<string, Record<string, number>> = {};
  for (const direction of DIRECTIONS) {
    const prefix = PREFIXES[direction];
    const own = rates.flatMap(([key, rate]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), rate]] : [],
    );
    if (own.length === 0) continue;
    const rate = Object.fromEntries(own);
    const problem = rateProblem(rate);
    if (problem !== null) throw new Error(`${prefix}${problem.key}: ${problem.message}`);
    limits[direction] = rate;
  }
  return limits;
}

async function limit(ui: Ui, { id, name }: VmInfo, nic: string, text: string): Promise<void> {
  const limits = parseNicLimits(text);
  await ui.engine.limitNic(id, nic, limits);
  ui.notify('info', `${name}: limits of ${nic}: ${netLimitsText(limits)}`);
}

/** Actions on network cards of a running VM. */
export const nicActions: readonly Action[] = [
  {
    name: 'link-nic',
    category: 'Virtual machine',
    label: 'link',
    phrase: 'change the link',
    description: "Plug in or unplug the network card's cable, until the VM is off",
    screens: ['vm'],
    here: isNetTab,
    bar: 41,
    changes: 'vm',
    unavailable: noNic,
    run: context => toggleLink(context.ui, context.vm!, nicAtCursor(context) as DeviceLabel),
  },
  {
    name: 'limit-nic',
    category: 'Virtual machine',
    label: 'limits',
    phrase: 'limit the network card',
    description: "Limit a network card's bytes and packets per second until the VM is off",
    screens: ['vm'],
    here: isNetTab,
    bar: 42,
    changes: 'vm',
    unavailable: noNic,
    run: context => {
      const { ui, vm } = context;
      const nic = nicAtCursor(context) as DeviceLabel;
      const present = factOf(nic, 'limits') || 'none';
      askForText(ui, `Limits of ${nic.name}, such as rx-bps=50M tx-pps=1000 (now: ${present})`, '', text =>
        limit(ui, vm!, nic.name, text),
      );
    },
  },
];
