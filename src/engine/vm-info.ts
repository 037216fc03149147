import type { Layer } from '../vmm/confinement/layer.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import type { VncSettings } from '../vmm/machine/vnc-settings.ts';
import type { GuestFacts } from './guest-agent/guest-facts.ts';
import type { VmNic } from './networks/vm-nics.ts';
import type { ServedVnc } from './served-vnc.ts';
import type { SavedState, VmTask } from './snapshots/snapshot-info.ts';

/** `suspended`: its guest sleeps in ACPI S3. `stuck`: its process does not respond, or was killed and cannot end before the host lets go of it. */
export type VmState =
  | 'starting'
  | 'running'
  | 'paused'
  | 'suspended'
  | 'stopping'
  | 'stuck'
  | 'off'
  | 'crashed';

/** A PCI function of the host that a VM has, or takes at its next start. */
export type VmHostDevice = {
  /** On the host: `0000:01:10.0`. */
  readonly address: string;
  /** Its name in the VM: `hostdev0`. */
  readonly device: string;
  /** The kernel's interface that it is open through; null while the VM does not have it. */
  readonly api: 'group' | 'iommufd' | null;
  /** It stays bound to its VFIO driver when the VM ends. */
  readonly keep: boolean;
  /** The driver that it goes back to; null: none, or it is not known yet. */
  readonly before: string | null;
  /** No IOMMU limits its DMA: the guest can read and write all of the host's memory. */
  readonly noIommu?: true;
};

/** One VM as every screen and command sees it. */
export type VmInfo = {
  /** The same as its name: no two VMs of an engine have one name. */
  readonly id: string;
  readonly name: string;
  readonly state: VmState;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Why it is off, crashed or stuck, in one sentence; with a register dump in `detail` after a KVM error. */
  readonly reason: string | null;
  readonly detail: string | null;
  /** The code of the guest's debug-exit port, when it ended itself through it. */
  readonly exitCode: number | null;
  /** It was running when its manager ended unexpectedly, and has not been started since: its state is then `crashed`. */
  readonly interrupted?: true;
  /** Devices that stopped serving their driver because it broke the rules, each with the reason. */
  readonly broken: Readonly<Record<string, string>>;
  /** Devices whose requests the host's disk has failed within the last minute or two, each with what failed last. Absent: none. */
  readonly diskErrors?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970, or null before the first start. */
  readonly startedAt: number | null;
  /** The process that runs its machine; null without one. */
  readonly pid: number | null;
  /** Of the vring that this process is of; null without one, and while it is not known. */
  readonly version: string | null;
  /** How that process is confined; null without one of its own. */
  readonly confinement: readonly Layer[] | null;
  readonly topology: Topology | null;
  /** There is a definition of this name on disk. A VM without one is forgotten when it is removed. */
  readonly defined: boolean;
  /** Why the definition on disk is not valid, with file, line and key; null when it is. */
  readonly problem: string | null;
  /** What keeps a valid definition from being started: features that this version lacks, files that do not exist; empty: nothing. */
  readonly blockers: readonly string[];
  readonly autostart: boolean;
  /** What it goes on from at its next start. Absent: it boots. */
  readonly saved?: SavedState;
  /** The names of its snapshots, oldest first. Absent: it has none. */
  readonly snapshots?: readonly string[];
  /** Absent: nothing is being done with it. */
  readonly task?: VmTask;
  /** The host's devices that it has while it runs, and takes at its next start while it does not. Absent: none. */
  readonly hostDevices?: readonly VmHostDevice[];
  /** What its guest says of itself, if its agent has answered since the VM was started. */
  readonly guest?: GuestFacts;
  /** Its network cards while it runs, or of its next start. Absent: none. */
  readonly nics?: readonly VmNic[];
  /** The VNC server of its screen while it runs. Absent: none was asked for. */
  readonly vnc?: VncSettings;
  /** The process that is that server, once it listens. */
  readonly servedVnc?: ServedVnc;
  /** Who types into its console, as `user@tty`; null when nobody does. */
  readonly keyboardHolder: string | null;
  /** The same for consoles beside the first, by port; absent while nobody types into one. */
  readonly keyboardHolders?: Readonly<Record<number, string>>;
};

export type LogEntry = {
  /** Counts up from 1, without gaps. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The VM that it is about; null: the engine itself. */
  readonly vm: string | null;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
};

export type EngineEvent =
  | { readonly kind: 'vm'; readonly vm: VmInfo }
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'log'; readonly entry: LogEntry }
  /** Past entries of the log have changed, since a VM was renamed: it has to be read again. */
  | { readonly kind: 'log-rewritten' }
  /** The manager cannot be reached; null when it can again, after the `vm` and `removed` events for all that changed meanwhile. */
  | { readonly kind: 'link'; readonly loss: Loss | null };

/** Why the manager cannot be reached. */
export type Loss = {
  /**
   * - `disconnected`: the connection broke; it is not known yet why
   * - `died`: the process is gone without having said why; the VMs' processes go on
   * - `ended`: it stopped in an orderly way
   * - `slow`: it runs and is connected, but does not answer
   * - `refused`: a manager runs, but does not accept this client
   */
  readonly kind: 'disconnected' | 'died' | 'ended' | 'slow' | 'refused';
  /** A sentence without a full stop. */
  readonly text: string;
};

/** Does it have a machine, running or not? */
export function isAlive(vm: Pick<VmInfo, 'state'>): boolean {
  return vm.state !== 'off' && vm.state !== 'crashed';
}

/** What is wrong with its devices, in a sentence each: those that are broken, then those with disk errors. */
export function deviceTroubles({ broken, diskErrors = {} }: Pick<VmInfo, 'broken' | 'diskErrors'>): string[] {
  return [
    ...Object.entries(broken).map(([device, reason]) => `${device} is broken: ${reason}`),
    ...Object.entries(diskErrors).map(([device, text]) => `${device}: ${text}`),
  ];
}

/** Does it pass through a device that no IOMMU keeps from the memory of the host? */
export function isUnsafe({ hostDevices = [] }: Pick<VmInfo, 'hostDevices'>): boolean {
  return hostDevices.some(({ noIommu }) => noIommu);
}

/** What that means, to follow its name. */
export const UNSAFE = 'UNSAFE: no IOMMU keeps its guest from the memory of the host';

/** Why a VM cannot be started as it is defined, with every reason; null when nothing is known against it. */
export function cannotStart({
  problem,
  blockers,
  saved,
}: Pick<VmInfo, 'problem' | 'blockers' | 'saved'>): string | null {
  // It goes on with what it was made of when it was saved.
  if (saved !== undefined) return null;
  return problem ?? (blockers.length > 0 ? blockers.join('; ') : null);
}

/** The vring that runs it, if that is not `installed`, or null. */
export function otherVersion({ version }: Pick<VmInfo, 'version'>, installed: string): string | null {
  return version === installed ? null : version;
}

/** Is there a guest in it now, which runs, or stands still? */
export function isUp({ state }: Pick<VmInfo, 'state'>): boolean {
  return state === 'running' || state === 'paused' || state === 'suspended';
}

/** The word for the state of a VM: one whose definition is not valid is more than off, and so is one that was saved. */
export function stateWord(vm: VmInfo): VmState | 'invalid' | 'saved' {
  if (isAlive(vm)) return vm.state;
  if (vm.saved !== undefined) return 'saved';
  return vm.problem === null ? vm.state : 'invalid';
}
