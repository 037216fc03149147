import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { integer, keyValues } from '../text.ts';
import { type ConfigLine, configLines } from './config-files.ts';
import { globMatches } from './glob.ts';

export const udevDirectories = [
  '/etc/udev/rules.d',
  '/run/udev/rules.d',
  '/usr/local/lib/udev/rules.d',
  '/usr/lib/udev/rules.d',
  '/lib/udev/rules.d',
];

/** A udev rule (udev(7)) that sets the driver of PCI devices, or the number of VFs. */
export type DeviceRule = ConfigLine & {
  readonly conditions: readonly Term[];
  /** The rule is skipped if all conditions of one of these hold: they jump over it (GOTO). */
  readonly skips: readonly (readonly Term[])[];
  /** The value it writes; null if that is known only when it runs. */
  readonly driver?: string | null;
  readonly vfs?: number | null;
};

type Term = {
  readonly key: string;
  readonly argument: string;
  readonly operator: string;
  readonly value: string;
};

/**
 * `no`: with the ids of the other device it names at this address, if any. `unknown`: a condition cannot be evaluated.
 */
export type RuleMatch =
  | { readonly result: 'yes' }
  | { readonly result: 'no'; readonly otherDevice: string | null }
  | { readonly result: 'unknown'; readonly condition: string };

/** udev ignores longer lines. */
const MAX_LINE = 16_384;

export function readDeviceRules(root: HostRoot): DeviceRule[] {
  let jumps: Jump[] = [];
  let file = '';
  return configLines(root, udevDirectories, '.rules').flatMap(line => {
    // A jump ends at its label, which is in the same file.
    if (line.file !== file) jumps = [];
    file = line.file;
    const relevant = /driver_override|sriov_numvfs/.test(line.text);
    if (line.text.length > MAX_LINE) return [];
    if (!relevant && !/(?:GOTO|LABEL)[ \t]*=/.test(line.text)) return [];
    const terms = ruleTerms(line.text);
    const label = terms.find(({ key }) => key === 'LABEL')?.value;
    jumps = jumps.filter(jump => jump.label !== label);
    const conditions = terms.filter(isCondition);
    const written = terms.filter(term => !isCondition(term));
    const skips = jumps.map(jump => jump.conditions);
    const target = terms.find(({ key }) => key === 'GOTO')?.value;
    if (target !== undefined) jumps = [...jumps, { label: target, conditions }];
    if (!relevant) return [];
    const set = (name: string): string | null | undefined => {
      const term = written.find(
        each => each.key === 'ATTR' && each.argument.replace(/^device\//, '') === name,
      );
      if (term !== undefined) return /[$%]/.test(term.value) ? null : term.value;
      // A command that writes it: the value is known only to the shell.
      return written.some(each => each.key === 'RUN' && each.value.includes(name)) ? null : undefined;
    };
    const [driver, vfs] = [set('driver_override'), set('sriov_numvfs')];
    if (driver === undefined && vfs === undefined) return [];
    return [
      {
        ...line,
        conditions,
        skips,
        ...(driver === undefined ? {} : { driver }),
        ...(vfs === undefined ? {} : { vfs: integer(vfs) }),
      },
    ];
  });
}

type Jump = { readonly label: string; readonly conditions: readonly Term[] };

/** PROGRAM and IMPORT run something whose success is a condition, whatever the operator. */
function isCondition({ key, operator }: Term): boolean {
  return operator === '==' || operator === '!=' || key === 'PROGRAM' || key === 'IMPORT';
}

/** `KEY{argument}=="value"`; a backslash before a quote is part of the value. */
function ruleTerms(text: string): Term[] {
  const pattern =
    /(?<![A-Z_])([A-Z_]+)(?:\{([^}]{0,512})\})?[ \t]*(==|!=|\+=|-=|:=|=)[ \t]*(?:e|i)?"((?:[^"\\]|\\.)*)"/g;
  return [...text.matchAll(pattern)].map(([, key, argument = '', operator, value]) => ({
    key: key!,
    argument,
    operator: operator!,
    value: value!,
  }));
}

/** Whether a rule matches a function, or one of its network interfaces. */
export function matchRule(root: HostRoot, rule: DeviceRule, fn: PciFunction): RuleMatch {
  const interfaces = root.list(`${fn.path}/net`) ?? [];
  const network = isForNetwork(rule);
  const names = network ? interfaces : [fn.address];
  let best: RuleMatch = { result: 'no', otherDevice: null };
  for (const name of names) {
    const match = matchUnlessSkipped(root, rule, fn, network ? name : null);
    if (match.result === 'yes') return match;
    if (match.result === 'unknown' || best.result === 'no') best = match;
  }
  return best;
}

/** By its own condition, or by that of a jump over everything else. */
function isForNetwork({ conditions, skips }: DeviceRule): boolean {
  const isNet = ({ key, value }: Term): boolean => key === 'SUBSYSTEM' && value === 'net';
  return (
    conditions.some(isNet) || skips.some(skip => skip.some(term => isNet(term) && term.operator === '!='))
  );
}

function matchUnlessSkipped(
  root: HostRoot,
  rule: DeviceRule,
  fn: PciFunction,
  interfaceName: string | null,
): RuleMatch {
  const match = matchDevice(root, rule.conditions, fn, interfaceName);
  if (match.result === 'no') return match;
  for (const conditions of rule.skips) {
    const skip = matchDevice(root, conditions, fn, interfaceName);
    if (skip.result === 'yes') return { result: 'no', otherDevice: null };
    if (skip.result === 'unknown') return skip;
  }
  return match;
}

/** @param interfaceName for a rule that matches network interfaces */
function matchDevice(
  root: HostRoot,
  conditions: readonly Term[],
  fn: PciFunction,
  interfaceName: string | null,
): RuleMatch {
  const device: Device = { root, fn, interfaceName };
  const results = conditions.map(term => ({ term, values: valuesOf(device, term) }));
  const failed = results.filter(({ term, values }) => {
    if (values === null) return false;
    const found = values.some(value => term.value.split('|').some(pattern => globMatches(pattern, value)));
    return found !== (term.operator === '==');
  });
  if (failed.length > 0) {
    // The address matches, but the device does not.
    const ids = failed.every(({ term }) => /^(vendor|device)$/.test(baseName(term.argument)));
    const at = conditions.some(({ key, value }) => /^KERNELS?$/.test(key) && value === fn.address);
    return { result: 'no', otherDevice: ids && at ? idText(conditions) : null };
  }
  const unknown = results.find(({ values }) => values === null);
  if (unknown === undefined) return { result: 'yes' };
  const { key, argument } = unknown.term;
  return { result: 'unknown', condition: argument === '' ? key : `${key}{${argument}}` };
}

type Device = { readonly root: HostRoot; readonly fn: PciFunction; readonly interfaceName: string | null };

/** The values that a condition is compared with; null if not known. */
function valuesOf({ root, fn, interfaceName }: Device, { key, argument }: Term): readonly string[] | null {
  const parents = fn.path.split('/').filter(part => /^[0-9a-f]{4,}:/.test(part) || part.startsWith('pci'));
  switch (key) {
    case 'ACTION':
      return ['add', 'bind', 'change', 'move'];
    case 'KERNEL':
      return [interfaceName ?? fn.address];
    case 'KERNELS':
      return [...(interfaceName === null ? [] : [interfaceName]), ...parents];
    case 'SUBSYSTEM':
      return [interfaceName === null ? 'pci' : 'net'];
    case 'SUBSYSTEMS':
      return interfaceName === null ? ['pci'] : ['net', 'pci'];
    case 'DRIVER':
    case 'DRIVERS':
      return fn.driver === null ? null : [fn.driver];
    case 'NAME':
      return interfaceName === null ? null : [interfaceName];
    case 'ATTR':
    case 'ATTRS':
      return attributesOf({ root, fn, interfaceName }, key, argument);
    case 'ENV':
      return environmentOf({ root, fn, interfaceName }, argument);
    default:
      return null;
  }
}

function attributesOf(
  { root, fn, interfaceName }: Device,
  key: string,
  name: string,
): readonly string[] | null {
  const ids: Readonly<Record<string, string | null>> = {
    vendor: fn.vendor,
    device: fn.device,
    subsystem_vendor: fn.subsystemVendor,
    subsystem_device: fn.subsystemDevice,
    class: fn.class,
  };
  const id = interfaceName === null || key === 'ATTRS' ? ids[name] : ids[name.replace(/^device\//, '')];
  if (id !== undefined && id !== null) return [`0x${id}`];
  if (name.includes('..')) return null;
  const own = interfaceName === null ? fn.path : `${fn.path}/net/${interfaceName}`;
  const places = key === 'ATTR' || interfaceName === null ? [own] : [own, fn.path];
  const values = places.map(place => root.attribute(`${place}/${name}`)).filter(value => value !== null);
  // A recording has only the attributes that readers use.
  return values.length === 0 && !root.live ? null : values;
}

function environmentOf({ root, fn, interfaceName }: Device, name: string): readonly string[] | null {
  const uevent = keyValues(root.attribute(`${fn.path}/uevent`) ?? '').get(name);
  if (interfaceName === null) return uevent === undefined ? null : [uevent];
  if (name === 'INTERFACE') return [interfaceName];
  if (name === 'ID_NET_DRIVER') return fn.driver === null ? null : [fn.driver];
  if (name === 'ID_PATH') return [`pci-${fn.address}`];
  return null;
}

function baseName(argument: string): string {
  return argument.split('/').at(-1)!;
}

function idText(conditions: readonly Term[]): string {
  const id = (name: string): string => {
    const term = conditions.find(each => baseName(each.argument) === name);
    return term?.value ?? '?';
  };
  return `${id('vendor')}:${id('device')}`;
}
