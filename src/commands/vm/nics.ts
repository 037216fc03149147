import { type NetLimits, netLimitsText, rateProblem } from '../../devices/backends/net-limits.ts';
import type { Engine } from '../../engine/engine.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { UsageError } from '../../text/usage-error.ts';
import { print } from '../host/host-options.ts';
import { devicesWith, limitsLine, NOTHING_TO_PERSIST, persisting } from './disks.ts';
import { findVm } from './find.ts';

export type NicLimitOptions = {
  readonly json?: boolean;
  readonly rxPps?: number;
  readonly rxPpsBurst?: number;
  readonly rxBps?: number;
  readonly rxBpsBurst?: number;
  readonly txPps?: number;
  readonly txPpsBurst?: number;
  readonly txBps?: number;
  readonly txBpsBurst?: number;
  readonly none?: boolean;
  readonly persist?: boolean;
};

type Nics = Pick<Engine, 'vms' | 'setLink'>;

/** Plugs in or unplugs the cable of a network card; null only shows its state. */
export async function linkNic(
  engine: Nics,
  name: string,
  nic: string,
  link: 'up' | 'down' | null,
  options: { readonly json?: boolean },
): Promise<void> {
  const vm = findVm(engine.vms(), name);
  if (link !== null) await engine.setLink(vm.id, nic, link === 'up');
  const state = link ?? String(factOf(vm, nic, 'link'));
  print(options, { name, nic, link: state }, () => [`${name}: the link of ${nic} is ${state}`]);
}

export async function limitNic(
  engine: Pick<Engine, 'vms' | 'limitNic'>,
  name: string,
  nic: string,
  options: NicLimitOptions,
): Promise<void> {
  const vm = findVm(engine.vms(), name);
  const limits = limitsOf(options);
  if (limits === null && options.persist) throw new UsageError(NOTHING_TO_PERSIST);
  if (limits !== null) await engine.limitNic(vm.id, nic, limits, persisting(options));
  const text = limits === null ? String(factOf(vm, nic, 'limits')) : netLimitsText(limits);
  print(options, { name, nic, limits: text }, () => [limitsLine(vm, nic, text)]);
}

/** Null to only show them. @throws UsageError */
function limitsOf(options: NicLimitOptions): NetLimits | null {
  const { rxPps, rxPpsBurst, rxBps, rxBpsBurst, txPps, txPpsBurst, txBps, txBpsBurst, none } = options;
  const sides = [
    ['rx', 'receive', { pps: rxPps, 'pps-burst': rxPpsBurst, bps: rxBps, 'bps-burst': rxBpsBurst }],
    ['tx', 'transmit', { pps: txPps, 'pps-burst': txPpsBurst, bps: txBps, 'bps-burst': txBpsBurst }],
  ] as const;
  const given = sides.flatMap(([prefix, direction, rate]) => {
    const numbers = Object.fromEntries(Object.entries(rate).filter(([, value]) => value !== undefined));
    const problem = rateProblem(numbers);
    if (problem !== null) throw new UsageError(`--${prefix}-${problem.key}: ${problem.message}`);
    return Object.keys(numbers).length === 0 ? [] : [[direction, numbers] as const];
  });
  return !none && given.length === 0 ? null : Object.fromEntries(given);
}

function factOf(vm: VmInfo, nic: string, label: string) {
  const { name } = vm;
  const nics = devicesWith(vm, 'net');
  const found = nics.find(device => device.name === nic);
  if (found !== undefined) return found.facts.find(fact => fact.label === label)?.value ?? 'none';
  const choice = nics.length === 0 ? 'it has none' : `it has ${nics.map(each => each.name).join(', ')}`;
  throw new Error(`${name} has no network card "${nic}": ${choice}`);
}
