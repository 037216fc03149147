import { isSubnet } from '../host/networks/subnet.ts';
import type { NetworkRequest } from '../host/plan/networks/create.ts';
import type { PlanRequest } from '../host-service/requests.ts';
import { type Form, type FormField, type FormValues, formLayer } from '../store/layers.ts';
import { type NetworkRow, networkFacts } from '../view/network-rows.ts';
import type { Action, ActionContext } from './action.ts';
import { askForChange } from './host-change.ts';
import { readFacts } from './read-facts.ts';
import type { Ui } from './ui.ts';

const FIELDS: readonly FormField[] = [
  { key: 'name', label: 'Name', hint: 'as VMs have it: letters, digits, ".", "_" and "-"' },
  {
    key: 'form',
    label: 'Form',
    hint: "nat: behind the host's address; routed: their own; isolated: no outside access",
    choices: ['nat', 'routed', 'isolated'],
  },
  { key: 'subnet', label: 'Subnet', hint: 'such as 192.168.150.0/24; free: a private one that is free' },
  { key: 'dhcp', label: 'DHCP', hint: 'Space turns it on and off: guests get addresses', checkbox: true },
  { key: 'dns', label: 'DNS', hint: 'Space turns it on and off: guests can look up names', checkbox: true },
  { key: 'domain', label: 'Domain', hint: 'of the names of guests, such as lan.example.org, or none' },
  {
    key: 'autostart',
    label: 'Autostart',
    hint: 'Space turns it on and off: with the manager',
    checkbox: true,
  },
];

const DEFAULTS: FormValues = {
  name: '',
  form: 'nat',
  subnet: 'free',
  dhcp: 'yes',
  dns: 'yes',
  domain: 'none',
  autostart: 'no',
};

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

function problemOf(value: string, key: string, taken: readonly string[]): string | null {
  if (key === 'name') {
    if (taken.includes(value)) return `there is a network ${value} already`;
    return NAME.test(value) ? null : 'expected a name of letters, digits, ".", "_" and "-"';
  }
  if (key === 'subnet' && value !== 'free' && !isSubnet(value))
    return 'expected a network such as 192.168.150.0/24, or free';
  return null;
}

function requestOf(value: (key: string) => string): NetworkRequest {
  const [subnet, domain] = [value('subnet'), value('domain')];
  return {
    name: value('name'),
    form: value('form') as NonNullable<NetworkRequest['form']>,
    ...(subnet !== 'free' && { subnet }),
    ...(value('dhcp') === 'no' && { dhcp: false as const }),
    dns: value('dns') === 'yes',
    ...(domain !== 'none' && domain !== '' && { domain }),
    autostart: value('autostart') === 'yes',
  };
}

/** Asks for the settings of a new network, then shows the plan. */
function openNetworkForm(ui: Ui): void {
  const taken = (ui.store.getState().networks?.networks ?? []).map(({ name }) => name);
  const first = taken.includes('default') ? DEFAULTS : { ...DEFAULTS, name: 'default' };
  const valueIn = (values: FormValues) => (key: string) => (values[key] ?? first[key] ?? '').trim();
  const form: Form = {
    title: 'New network',
    button: 'Show the plan',
    done: 'plan',
    fields: () => FIELDS,
    value: (values, { key }) => values[key] ?? first[key] ?? '',
    problem: (values, { key }) => problemOf(valueIn(values)(key), key, taken),
    note: () => null,
    changed: () => {},
    submit: values =>
      void ui.attempt(askForChange(ui, { kind: 'network-create', ...requestOf(valueIn(values)) })),
    leave: () => {},
  };
  ui.clearNotice();
  ui.store.getState().pushLayer(formLayer(form, {}));
}

function rowAtCursor({ ui, state }: ActionContext): NetworkRow | undefined {
  return ui.select.visibleNetworks(state)[ui.select.networkRow(state)];
}

/** Why the row at the cursor cannot be managed by vring; null for one of vring's networks. */
function noNetwork(context: ActionContext): string | null {
  const row = rowAtCursor(context);
  if (row === undefined) return 'there is no network here';
  return row.network === undefined ? `${row.name} is not managed by vring` : null;
}

function change(kind: Extract<PlanRequest['kind'], `network-${'start' | 'stop' | 'delete'}`>) {
  return (context: ActionContext) => askForChange(context.ui, { kind, name: rowAtCursor(context)!.name });
}

export const networkActions: readonly Action[] = [
  {
    name: 'open-network',
    category: 'Move',
    label: 'open',
    phrase: 'open the network',
    description: 'Show all of the network: its leases, VMs and settings',
    screens: ['networks'],
    bar: 10,
    unavailable: context => (rowAtCursor(context) === undefined ? 'there is no network here' : null),
    run: context => {
      const row = rowAtCursor(context)!;
      readFacts(context, row.name, networkFacts(row, Object.values(context.state.infos)));
    },
  },
  {
    name: 'new-network',
    category: 'Host',
    label: 'new',
    phrase: 'create a network',
    description: 'Create a network with NAT, DHCP and DNS, a routed or an isolated one; shows the plan first',
    screens: ['networks'],
    bar: 30,
    changes: 'host-by-plan',
    run: ({ ui }) => openNetworkForm(ui),
  },
  {
    name: 'start-network',
    category: 'Host',
    label: 'start',
    phrase: 'start the network',
    description: 'Bring the network up: its bridge, rules, DHCP and DNS; shows the plan first',
    screens: ['networks'],
    bar: 32,
    changes: 'host-by-plan',
    unavailable: noNetwork,
    run: change('network-start'),
  },
  {
    name: 'stop-network',
    category: 'Host',
    label: 'stop',
    phrase: 'stop the network',
    description: 'Take the network down but keep its definition; shows the plan first',
    screens: ['networks'],
    bar: 34,
    changes: 'host-by-plan',
    unavailable: noNetwork,
    run: change('network-stop'),
  },
  {
    name: 'delete-network',
    category: 'Host',
    label: 'delete',
    phrase: 'delete the network',
    description: 'Take the network down and remove its definition; shows the plan first',
    screens: ['networks'],
    bar: 36,
    changes: 'host-by-plan',
    unavailable: noNetwork,
    run: change('network-delete'),
  },
];
