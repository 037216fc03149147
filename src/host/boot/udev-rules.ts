import type { HostRoot } from '../root.ts';
import { type ConfigLine, configLines } from './config-files.ts';

export const udevDirectories = [
  '/etc/udev/rules.d',
  '/run/udev/rules.d',
  '/usr/lib/udev/rules.d',
  '/lib/udev/rules.d',
];

/** A udev rule (udev(7)) that sets something of a PCI device at a fixed address. */
export type AddressRule = ConfigLine & {
  readonly address: string;
  /** Values it must find, by attribute: `vendor`, `device`. */
  readonly conditions: Readonly<Record<string, string>>;
  /** Values it writes, by attribute: `driver_override`, `sriov_numvfs`. */
  readonly assignments: Readonly<Record<string, string>>;
};

/** Rules with a literal address in KERNEL or KERNELS that write driver_override or sriov_numvfs. */
export function readAddressRules(root: HostRoot): AddressRule[] {
  return configLines(root, udevDirectories, '.rules').flatMap(line => {
    if (!/driver_override|sriov_numvfs/.test(line.text)) return [];
    const address = /\bKERNELS?=="([0-9a-f:.]+)"/i.exec(line.text)?.[1]?.toLowerCase();
    if (address === undefined) return [];
    const conditions: Record<string, string> = {};
    const assignments: Record<string, string> = {};
    for (const [, name, operator, value] of line.text.matchAll(/\bATTRS?\{([^}]+)\}\s*(==|=)\s*"([^"]*)"/g)) {
      const target = operator === '==' ? conditions : assignments;
      target[name!.replace(/^device\//, '')] = value!;
    }
    return [{ ...line, address, conditions, assignments }];
  });
}
