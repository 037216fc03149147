import type { VfAttributes } from '../sriov/ip-link.ts';
/**
 * A host change as data: its steps in order, with reasons, risks, verification and undo. Planning only reads; only
 * `apply.ts` writes. Plans are stored as JSON for `vring undo`, so a change to these types needs a new
 * {@link planVersion}.
 */
export const planVersion = 1;

export type Plan = {
  readonly version: typeof planVersion;
  readonly kind: PlanKind;
  /** An imperative title without a period: `Bind 0000:02:00.0 to vfio-pci`. */
  readonly title: string;
  /** Every PCI function involved: those that change, and related ones that stay. */
  readonly devices: readonly PlanDevice[];
  readonly checks: readonly Check[];
  /** Empty if the host is already in the requested state. */
  readonly steps: readonly Step[];
  /** Conditions the plan requires: it is not applied to a host that has changed since. */
  readonly assumes: readonly Condition[];
  /** Information that needs no decision. */
  readonly notes: readonly string[];
};

export type PlanKind = 'bind' | 'unbind' | 'vf-count' | 'vf-attributes' | 'kernel-parameters' | 'network';

export type PlanDevice = {
  readonly address: string;
  readonly name: string;
  readonly iommuGroup: number | null;
  /**
   * `asked`: named in the request. `group`: included as a member of its group. `left`: a member that is not included.
   * `bridge`: a member that always stays with the host. `ended-vf`: a VF that is removed.
   */
  readonly role: 'asked' | 'group' | 'left' | 'bridge' | 'ended-vf';
  readonly driver: string | null;
  /** Driver after the plan; null for none. Absent if the kernel decides. */
  readonly becomes?: string | null;
};

export type Check = {
  readonly level: 'ok' | 'warn' | 'block';
  readonly code: CheckCode;
  /** The address or interface it is about; null for the host as a whole. */
  readonly subject: string | null;
  readonly reason: string;
  /** For a block: false if the kernel or the hardware would refuse anyway, so that --force does not help. */
  readonly forceable: boolean;
};

export type CheckCode =
  | 'response'
  | 'iommu'
  | 'group'
  | 'class'
  | 'display'
  /** The other functions of a graphics card. */
  | 'card'
  /** Its expansion ROM, which a guest's firmware may need. */
  | 'rom'
  | 'storage'
  | 'network'
  | 'sriov'
  | 'held'
  | 'pending'
  | 'reset'
  | 'memlock'
  | 'driver'
  | 'vf-count'
  | 'identity'
  | 'boot';

/** One action with its expected result. */
export type Change = {
  readonly action: Action;
  /** All of these hold after success; if they hold before, the step is skipped. */
  readonly expect: readonly Condition[];
  /** Seconds until they must hold. */
  readonly within: number;
};

export type Step = Change & {
  readonly reason: string;
  /** What may go wrong or stop working; null for nothing. */
  readonly risk: string | null;
  readonly undo: Undo;
};

export type Undo = {
  /** In order of execution; empty if there is nothing to undo. */
  readonly changes: readonly UndoChange[];
  /** Done after all others, such as rebuilding the initramfs from restored files. */
  readonly last: boolean;
};

export type UndoChange = Change & {
  /** Undone only if these hold: a module stays loaded while another device needs it. */
  readonly when: readonly Condition[];
};

/** Paths are absolute, as seen within the host's root. */
export type Action =
  /** One write(2) to an attribute in sysfs or /proc/sys/net. */
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly value: string;
      /** Seconds that the kernel may take, if longer than the default. */
      readonly seconds?: number;
    }
  /**
   * A file is created or replaced with one rename(2). `backup`: the path to which an existing file is copied, unless
   * the backup already exists.
   */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: string;
      /** Permission bits of a new file; a replaced one keeps its own. */
      readonly mode: number;
      readonly backup: string | null;
    }
  /**
   * Files to remove, in this order; missing ones are ignored. `directory`: also remove their directory if it is empty.
   */
  | { readonly kind: 'remove'; readonly paths: readonly string[]; readonly directory: boolean }
  | { readonly kind: 'run'; readonly argv: readonly [string, ...string[]]; readonly seconds: number }
  /** Only waits for the expected state. */
  | { readonly kind: 'wait' };

export type Condition =
  /** A sysfs attribute's value, without its newline; `(null)` is read as ''. */
  | { readonly kind: 'attribute'; readonly path: string; readonly value: string }
  /** The driver of the device at a sysfs directory; null for none. */
  | { readonly kind: 'driver'; readonly device: string; readonly driver: string | null }
  /** Whether a host driver is bound, as opposed to a VFIO driver or pci-stub. */
  | { readonly kind: 'host-driver'; readonly device: string; readonly bound: boolean }
  /** No PCI device is bound to a driver of the module. */
  | { readonly kind: 'module-idle'; readonly module: string }
  | { readonly kind: 'exists'; readonly path: string; readonly exists: boolean }
  /** A node in /dev/vfio through which a VM opens the device at a sysfs directory. */
  | { readonly kind: 'vfio-node'; readonly device: string; readonly exists: boolean }
  /** A file's whole text; null if the file does not exist. */
  | { readonly kind: 'file'; readonly path: string; readonly content: string | null }
  /** A generated file contains all these texts. */
  | { readonly kind: 'contains'; readonly path: string; readonly texts: readonly string[] }
  | { readonly kind: 'module'; readonly module: string; readonly loaded: boolean }
  /** The number of VFs of the physical function at a sysfs directory, all of which exist in sysfs. */
  | { readonly kind: 'vf-count'; readonly device: string; readonly count: number }
  | {
      readonly kind: 'vf-attribute';
      readonly interface: string;
      readonly index: number;
      readonly attribute: VfAttributeName;
      readonly value: string | number | boolean;
    }
  /** The output of a command that only reads. */
  | {
      readonly kind: 'output';
      readonly argv: readonly [string, ...string[]];
      readonly has: readonly string[];
      readonly lacks: readonly string[];
    };

export type VfAttributeName =
  | 'mac'
  | 'vlan'
  | 'qos'
  | 'trust'
  | 'spoofCheck'
  | 'linkState'
  | 'maxTxRate'
  | 'minTxRate';

/** Settings to change on a VF; others are kept. */
export type VfSettings = { readonly [name in VfAttributeName]?: NonNullable<VfAttributes[name]> };

export const noUndo: Undo = { changes: [], last: false };

/** Undo with these changes, unconditionally. */
export function undoBy(...changes: readonly Change[]): Undo {
  return { changes: changes.map(change => ({ ...change, when: [] })), last: false };
}

export function blocks(plan: Plan): Check[] {
  return plan.checks.filter(check => check.level === 'block');
}

/** The remaining blocks, with or without --force. */
export function standingBlocks(plan: Plan, force: boolean): Check[] {
  return blocks(plan).filter(check => !(force && check.forceable));
}
