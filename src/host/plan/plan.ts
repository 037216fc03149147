import type { VfAttributes } from '../sriov/ip-link.ts';
/**
 * A change of the host as data: what is done, in which order, why, what it endangers, how it is verified and how it
 * is undone. Planning only reads; nothing is written but by `apply.ts`. Plans are kept as JSON for `vring undo`, so
 * that a change of these types needs a new {@link planVersion}.
 */
export const planVersion = 1;

export type Plan = {
  readonly version: typeof planVersion;
  readonly kind: PlanKind;
  /** What it is for, as a sentence without a full stop: `Bind 0000:02:00.0 to vfio-pci`. */
  readonly title: string;
  /** Every PCI function that is looked at: those that change, and those that stay though they are concerned. */
  readonly devices: readonly PlanDevice[];
  readonly checks: readonly Check[];
  /** Empty when the host is as asked for already. */
  readonly steps: readonly Step[];
  /** What the plan was made for: it is not applied to a host that has changed since. */
  readonly assumes: readonly Condition[];
  /** What the reader should know though it needs no decision. */
  readonly notes: readonly string[];
};

export type PlanKind = 'bind' | 'unbind' | 'vf-count' | 'vf-attributes' | 'kernel-parameters';

export type PlanDevice = {
  readonly address: string;
  readonly name: string;
  readonly iommuGroup: number | null;
  /**
   * `asked` for; taken along as a member of the `group`; `left` as it is; a `bridge`, which always stays; a VF that
   * is `ended`.
   */
  readonly role: 'asked' | 'group' | 'left' | 'bridge' | 'ended-vf';
  readonly driver: string | null;
  /** Driver after the plan; null: none. Absent where the kernel decides. */
  readonly becomes?: string | null;
};

export type Check = {
  readonly level: 'ok' | 'warn' | 'block';
  readonly code: CheckCode;
  /** The address or interface it is about; null for the host as a whole. */
  readonly subject: string | null;
  readonly reason: string;
  /** For a block: false where the kernel or the hardware would refuse anyway, so that --force does not help. */
  readonly forceable: boolean;
};

export type CheckCode =
  | 'response'
  | 'iommu'
  | 'group'
  | 'class'
  | 'display'
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

/** One action with what must be true afterwards. */
export type Change = {
  readonly action: Action;
  /** All of these hold when it has worked; where they hold beforehand there is nothing to do. */
  readonly expect: readonly Condition[];
  /** Seconds that it may take for them to come true. */
  readonly within: number;
};

export type Step = Change & {
  readonly reason: string;
  /** What may go wrong or stop working; null for nothing. */
  readonly risk: string | null;
  readonly undo: Undo;
};

export type Undo = {
  /** In the order in which they are done; empty where nothing has to be undone. */
  readonly changes: readonly UndoChange[];
  /** Done after all others, such as writing the initramfs anew from the files that were put back. */
  readonly last: boolean;
};

export type UndoChange = Change & {
  /** Undone only if these hold: a module stays loaded while another device needs it. */
  readonly when: readonly Condition[];
};

/** Paths are absolute, as seen within the host's root. */
export type Action =
  /** One write(2) to a sysfs attribute. */
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly value: string;
      /** How long the kernel may take for it, where that is more than usual. */
      readonly seconds?: number;
    }
  /**
   * A file is created or replaced in one rename(2). `backup`: where the file that was there is kept, unless that is
   * there already.
   */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: string;
      /** Permission bits of a new file; one that is replaced keeps its own. */
      readonly mode: number;
      readonly backup: string | null;
    }
  /** Files removed, in this order; one that is not there is no error. Their directory goes too if `directory` and empty. */
  | { readonly kind: 'remove'; readonly paths: readonly string[]; readonly directory: boolean }
  | { readonly kind: 'run'; readonly argv: readonly [string, ...string[]]; readonly seconds: number }
  /** Nothing but the wait for what is expected. */
  | { readonly kind: 'wait' };

export type Condition =
  /** A sysfs attribute's value, without its newline; `(null)` counts as ''. */
  | { readonly kind: 'attribute'; readonly path: string; readonly value: string }
  /** The driver of the device at a sysfs directory; null: none. */
  | { readonly kind: 'driver'; readonly device: string; readonly driver: string | null }
  /** Is it a driver of the host's own that has the device, none that keeps it for user space? */
  | { readonly kind: 'host-driver'; readonly device: string; readonly bound: boolean }
  /** No PCI device is bound to a driver of the module. */
  | { readonly kind: 'module-idle'; readonly module: string }
  | { readonly kind: 'exists'; readonly path: string; readonly exists: boolean }
  /** A node below /dev/vfio by which a VM opens the device at a sysfs directory. */
  | { readonly kind: 'vfio-node'; readonly device: string; readonly exists: boolean }
  /** A file's whole text; null: there is no such file. */
  | { readonly kind: 'file'; readonly path: string; readonly content: string | null }
  /** A file that a command made has all these texts in it. */
  | { readonly kind: 'contains'; readonly path: string; readonly texts: readonly string[] }
  | { readonly kind: 'module'; readonly module: string; readonly loaded: boolean }
  /** The virtual functions of the physical one at a sysfs directory, all of them there. */
  | { readonly kind: 'vf-count'; readonly device: string; readonly count: number }
  | {
      readonly kind: 'vf-attribute';
      readonly interface: string;
      readonly index: number;
      readonly attribute: VfAttributeName;
      readonly value: string | number | boolean;
    }
  /** What a command that only reads prints. */
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

/** What is to be set of one VF; the rest stays as it is. */
export type VfSettings = { readonly [name in VfAttributeName]?: NonNullable<VfAttributes[name]> };

export const noUndo: Undo = { changes: [], last: false };

/** Undo by these changes, whatever else there is. */
export function undoBy(...changes: readonly Change[]): Undo {
  return { changes: changes.map(change => ({ ...change, when: [] })), last: false };
}

export function blocks(plan: Plan): Check[] {
  return plan.checks.filter(check => check.level === 'block');
}

/** The blocks that stand in the way of applying the plan, with or without --force. */
export function standingBlocks(plan: Plan, force: boolean): Check[] {
  return blocks(plan).filter(check => !(force && check.forceable));
}
