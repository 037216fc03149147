import { deviceName } from '../pci/function.ts';
import type { VfAttributes } from '../sriov/ip-link.ts';
import type { VirtualFunction } from '../sriov/read.ts';
import { ok, warn } from './checks/check.ts';
import { vmCheck } from './checks/guests.ts';
import { setDesiredAttributes } from './persist/change-desired.ts';
import { withPersistence } from './persist/persist.ts';
import {
  type Change,
  type Check,
  type Condition,
  type Plan,
  planVersion,
  type Step,
  undoBy,
  type VfAttributeName,
  type VfSettings,
} from './plan.ts';
import { functionAt, type HostSurvey, sysfsPath } from './survey.ts';

export type VfAttributesRequest = {
  /** Address of the physical function. */
  readonly address: string;
  readonly index: number;
  readonly settings: VfSettings;
  /** Also apply at every boot. */
  readonly persist?: boolean;
};

/**
 * Sets MAC, VLAN, trust and other settings of a VF through its physical function's interface.
 * @throws for an unknown VF, or one whose driver has no such settings
 */
export function planVfAttributes(survey: HostSurvey, request: VfAttributesRequest): Plan {
  const { address, index, settings } = request;
  const fn = functionAt(survey, address);
  const pf = survey.physicalFunctions.get(address);
  const vf = pf?.vfs[index];
  if (!pf || !vf) throw new Error(`${address} has no VF ${index}: see vring sriov list`);
  const { manager } = pf;
  const now = vf.attributes;
  if (manager === null || now === null) {
    throw new Error(
      `VF ${index} of ${address} has no settings for ip(8): only network cards with their driver bound have them`,
    );
  }
  const steps = settingSteps(manager, index, now, settings);
  const plan: Plan = {
    version: planVersion,
    kind: 'vf-attributes',
    title: `Set ${Object.keys(settings).join(', ')} of VF ${index} (${vf.address}) of ${address}`,
    devices: [
      {
        address: vf.address,
        name: deviceName(survey.byAddress.get(vf.address) ?? fn),
        iommuGroup: vf.iommuGroup,
        role: 'asked',
        driver: vf.driver,
        becomes: vf.driver,
      },
    ],
    checks: steps.length > 0 ? vfChecks(survey, vf) : [],
    steps,
    assumes: [{ kind: 'vf-count', device: sysfsPath(fn), count: pf.current }],
    notes: steps.length > 0 ? [] : [`VF ${index} of ${address} already has these settings`],
  };
  if (!request.persist) return plan;
  const vfFunction = functionAt(survey, vf.address);
  return withPersistence(survey, plan, desired =>
    setDesiredAttributes(survey, desired, vfFunction, settings),
  );
}

/** One step per changed setting; the kernel sets VLAN and priority together, and both rates together. */
export function settingSteps(
  manager: string,
  index: number,
  now: VfAttributes,
  settings: VfSettings,
): Step[] {
  const groups: readonly (readonly VfAttributeName[])[] = [
    ['mac'],
    ['vlan', 'qos'],
    ['trust'],
    ['spoofCheck'],
    ['linkState'],
    ['maxTxRate', 'minTxRate'],
  ];
  return groups.flatMap(names => {
    const before = pick(now, names);
    const after = { ...before, ...pick(settings, names) };
    const changed = names.filter(name => after[name] !== undefined && after[name] !== before[name]);
    if (changed.length === 0) return [];
    // A setting that the driver does not report can be set, but neither verified nor undone.
    const reported = names.every(name => before[name] !== undefined);
    const change = setting(manager, index, after);
    return [
      {
        ...change,
        expect: reported ? change.expect : [],
        reason: changed.map(name => `${name}: ${before[name] ?? 'unknown'} -> ${after[name]}`).join(', '),
        risk: reported ? null : 'its driver does not report the old value, so it cannot be undone',
        undo: reported ? undoBy(setting(manager, index, before)) : undoBy(),
      },
    ];
  });
}

/** Restores the settings of a recreated VF; a new one has the defaults. */
export function restoreSettings(manager: string, vf: VirtualFunction): Change[] {
  const { attributes } = vf;
  if (attributes === null) return [];
  const { mac, vlan, qos, trust, spoofCheck, linkState, maxTxRate, minTxRate } = attributes;
  const set: Values[] = [];
  if (mac !== null) set.push({ mac });
  if (vlan > 0 || qos > 0) set.push({ vlan, qos });
  if (trust) set.push({ trust });
  // Drivers differ in how they begin.
  if (spoofCheck !== null) set.push({ spoofCheck });
  if (linkState !== null && linkState !== 'auto') set.push({ linkState });
  if (maxTxRate > 0 || minTxRate > 0) set.push({ maxTxRate, minTxRate });
  return set.map(values => setting(manager, vf.index, values));
}

type Values = { [name in VfAttributeName]?: string | number | boolean };

const keywords: Readonly<Record<VfAttributeName, string>> = {
  mac: 'mac',
  vlan: 'vlan',
  qos: 'qos',
  trust: 'trust',
  spoofCheck: 'spoofchk',
  linkState: 'state',
  maxTxRate: 'max_tx_rate',
  minTxRate: 'min_tx_rate',
};

function setting(manager: string, index: number, values: Values): Change {
  const entries = Object.entries(values) as [VfAttributeName, string | number | boolean][];
  const words = entries.flatMap(([name, value]) => [keywords[name], wordOf(value)]);
  return {
    action: {
      kind: 'run',
      argv: ['ip', 'link', 'set', 'dev', manager, 'vf', String(index), ...words],
      seconds: 30,
    },
    expect: entries.map(
      ([attribute, value]): Condition => ({
        kind: 'vf-attribute',
        interface: manager,
        index,
        attribute,
        value,
      }),
    ),
    within: 2,
  };
}

function wordOf(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}

/** The named values that are known. */
function pick(
  values: Readonly<Partial<Record<VfAttributeName, unknown>>>,
  names: readonly VfAttributeName[],
): Values {
  const known = names.map(name => [name, values[name]]).filter(([, value]) => value != null);
  return Object.fromEntries(known) as Values;
}

function vfChecks(survey: HostSurvey, vf: VirtualFunction): Check[] {
  const fn = functionAt(survey, vf.address);
  const held = vmCheck({ survey, fn });
  if (held === null) return [ok('held', fn.address, 'not open in any VM')];
  const reason = `${held.reason.split(':')[0]}: its driver may not see the change until it is reloaded`;
  return [warn('held', fn.address, reason)];
}
