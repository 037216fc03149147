import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { integer } from '../text.ts';
import { type BootScript, mentions } from './boot-scripts.ts';
import type { ModprobeConfig } from './modprobe.ts';
import type { NetworkManagerFiles } from './network-manager.ts';
import { type SysfsWrite, writesTo } from './sysfs-writes.ts';
import { type LinkFile, linkCount } from './systemd-link.ts';
import { type DeviceRule, matchRule, type RuleMatch } from './udev-rules.ts';

export type VfCount = {
  /** Null if no source sets it. */
  readonly count: number | null;
  readonly sources: readonly string[];
  readonly problems: readonly string[];
  /** Whether an uninterpreted source may set another number; `problems` names it. */
  readonly unknown: boolean;
};

/** How many VFs a function gets at boot from anything but vring itself. */
export function vfCount(
  root: HostRoot,
  fn: PciFunction,
  from: {
    readonly rules: readonly DeviceRule[];
    readonly links: readonly LinkFile[];
    readonly modprobe: ModprobeConfig;
    readonly scripts: readonly BootScript[];
    readonly networkManager: NetworkManagerFiles;
    readonly writes: readonly SysfsWrite[];
  },
): VfCount {
  const sources: string[] = [];
  const problems: string[] = [];
  if (fn.virtualFunctions.length === 0 && !root.exists(`${fn.path}/sriov_totalvfs`)) {
    return { count: null, sources, problems, unknown: false };
  }
  let count = optionCount(fn, from.modprobe, sources);
  let unknown = false;
  const link = linkCount(root, fn, from.links);
  if (link !== null) {
    if (link.count === null) {
      problems.push(`not known whether ${link.source} applies here: it depends on ${link.condition}`);
      count = null;
      unknown = true;
    } else {
      count = link.count;
      sources.push(link.source);
    }
  }
  for (const rule of from.rules.filter(each => each.vfs !== undefined)) {
    const match = matchRule(root, rule, fn);
    problems.push(...ruleProblems(rule, match, rule.vfs ?? null));
    if (match.result === 'yes') sources.push(rule.file);
    if (match.result === 'yes' && rule.vfs !== null) count = rule.vfs ?? count;
    else if (match.result !== 'no') {
      count = null;
      unknown = true;
    }
  }
  for (const write of writesTo(root, fn, 'sriov_numvfs', from.writes)) {
    const written = integer(write.value);
    sources.push(write.file);
    if (written !== null) count = written;
    else {
      problems.push(`not known how many VFs ${write.file}, line ${write.line} creates: it is not a number`);
      count = null;
      unknown = true;
    }
  }
  const interfaces = root.list(`${fn.path}/net`) ?? [];
  for (const script of from.scripts) {
    const about = script.creates !== 'drivers' && mentions(script, fn.address, interfaces);
    // An unreadable file does not matter for a function that has no VFs.
    if (!about || (script.text === null && (count !== null || fn.virtualFunctions.length === 0))) continue;
    problems.push(
      script.text === null
        ? `not known whether ${script.file} creates VFs: it cannot be read`
        : `not known how many VFs ${script.file} creates: vring does not interpret it`,
    );
    count = null;
    unknown = true;
  }
  for (const { file, interfaceName } of from.networkManager.makers) {
    if (interfaceName !== null && interfaces.length > 0 && !interfaces.includes(interfaceName)) continue;
    problems.push(`not known how many VFs NetworkManager creates: ${file} configures them`);
    count = null;
    unknown = true;
  }
  if (count === null && fn.virtualFunctions.length > 0) {
    for (const file of from.networkManager.unreadable) {
      problems.push(`not known whether NetworkManager creates VFs: ${file} cannot be read`);
      unknown = true;
    }
    if (!root.hasNetworkConfig()) {
      problems.push(
        'not known whether the network configuration creates VFs: this recording does not contain it; record the host again',
      );
      unknown = true;
    }
  }
  return { count, sources, problems, unknown };
}

/** Why the effect of a rule is not certain. */
export function ruleProblems(rule: DeviceRule, match: RuleMatch, value: string | number | null): string[] {
  switch (match.result) {
    case 'no':
      return match.otherDevice === null
        ? []
        : [`${rule.file} expects ${match.otherDevice.replaceAll('0x', '')} at this address`];
    case 'unknown':
      return [
        `not known whether ${rule.file}, line ${rule.line} matches this device: it depends on ${match.condition}`,
      ];
    case 'yes':
      return value === null
        ? [`not known what ${rule.file}, line ${rule.line} writes: it runs a command`]
        : [];
  }
}

/**
 * `max_vfs=` of igb and ixgbe, `num_vfs=` of mlx4_core: the last one takes effect. Only a number that is the same for
 * every port is understood.
 */
function optionCount(fn: PciFunction, modprobe: ModprobeConfig, sources: string[]): number | null {
  const modules = new Set([...fn.modules, fn.driver?.replaceAll('-', '_')]);
  const lines = modprobe.options.filter(line => modules.has(line.module));
  for (const line of lines.toReversed()) {
    const value = /(?:^|\s)(?:max_vfs|num_vfs)=(\d+)(?:,\1)*(?:\s|$)/.exec(line.options)?.[1];
    if (value === undefined) continue;
    sources.push(line.file);
    return integer(value);
  }
  return null;
}
