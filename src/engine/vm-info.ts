import type { Layer } from '../vmm/confinement/layer.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import type { VncSettings } from '../vmm/machine/vnc-settings.ts';
import type { GuestFacts } from './guest-agent/guest-facts.ts';
import type { DefinedDevice } from './hotplug/defined-device.ts';
import type { VmNic } from './networks/vm-nics.ts';
import type { ServedVnc } from './served-vnc.ts';
import type { SavedState, VmTask } from './snapshots/snapshot-info.ts';

/**
 * `suspended`: its guest sleeps in ACPI S3. `stuck`: its process does not respond, or was killed and cannot end until
 * the host releases it.
 */
export type VmState =
  | 'starting'
  | 'running'
  | 'paused'
  | 'suspended'
  | 'stopping'
  | 'stuck'
  | 'off'
  | 'crashed';

/** A host PCI function that a VM has, or takes at its next start. */
export type VmHostDevice = {
  /** On the host: `0000:01:10.0`. */
  readonly address: string;
  /** Its name in the VM: `hostdev0`. */
  readonly device: string;
  /** The kernel interface through which it is open; null while the VM does not have it. */
  readonly api: 'group' | 'iommufd' | null;
  /** It stays bound to its VFIO driver when the VM ends. */
  readonly keep: boolean;
  /** The driver that it returns to; null if none, or not known yet. */
  readonly before: string | null;
  /** No IOMMU limits its DMA: the guest can read and write all of the host's memory. */
  readonly noIommu?: true;
};

/** One VM, for all screens and commands. */
export type VmInfo = {
  /** The same as its name, which is unique in an engine. */
  readonly id: string;
  readonly name: string;
  readonly state: VmState;
  readonly vcpus: number;
  /** The most vCPUs that it has room for; absent if it has as many. */
  readonly maxVcpus?: number;
  readonly memoryBytes: number;
  /** Why it is off, crashed or stuck, in one sentence; with a register dump in `detail` after a KVM error. */
  readonly reason: string | null;
  readonly detail: string | null;
  /** The code that the guest wrote to its debug-exit port, if it ended that way. */
  readonly exitCode: number | null;
  /**
   * It was running when its manager ended unexpectedly, and has not been started since: its state is then `crashed`.
   */
  readonly interrupted?: true;
  /** Devices that stopped serving a driver that violated the specification, each with the reason. */
  readonly broken: Readonly<Record<string, string>>;
  /**
   * Devices with requests that failed on the host's disk within the last minute or two, each with the last failure;
   * default: none.
   */
  readonly diskErrors?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970, or null before the first start. */
  readonly startedAt: number | null;
  /** The process that runs its machine; null if there is none. */
  readonly pid: number | null;
  /** The version of the vring in that process; null without one, and while not known. */
  readonly version: string | null;
  /** The confinement of that process; null if it has none of its own. */
  readonly confinement: readonly Layer[] | null;
  readonly topology: Topology | null;
  /** Whether a definition of this name is on disk. A VM without one is forgotten when it is removed. */
  readonly defined: boolean;
  /** Why the definition on disk is not valid, with file, line and key; null if it is. */
  readonly problem: string | null;
  /**
   * Why a valid definition cannot be started: features that this version lacks, files that do not exist. Empty if it
   * can.
   */
  readonly blockers: readonly string[];
  readonly autostart: boolean;
  /** The state from which it resumes at its next start; default: it boots. */
  readonly saved?: SavedState;
  /** The names of its snapshots, oldest first; default: none. */
  readonly snapshots?: readonly string[];
  /** Its operation in progress; default: none. */
  readonly task?: VmTask;
  /** The host devices that it has while it runs, or takes at its next start; default: none. */
  readonly hostDevices?: readonly VmHostDevice[];
  /** What its guest reports about itself, if its agent has answered since the VM was started. */
  readonly guest?: GuestFacts;
  /** Its network cards while it runs, or at its next start; default: none. */
  readonly nics?: readonly VmNic[];
  /** The devices that its definition lists or needs, for its next start; default: none. */
  readonly definedDevices?: readonly DefinedDevice[];
  /** The VNC server of its screen while it runs; default: none was requested. */
  readonly vnc?: VncSettings;
  /** The process of that server, once it listens. */
  readonly servedVnc?: ServedVnc;
  /** Its console's keyboard holder, as `user@tty`; null if there is none. */
  readonly keyboardHolder: string | null;
  /** The keyboard holders of further consoles, by port; default: none. */
  readonly keyboardHolders?: Readonly<Record<number, string>>;
};

export type LogEntry = {
  /** Counts up from 1, without gaps. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The VM that it is about; null for the engine itself. */
  readonly vm: string | null;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
};

export type EngineEvent =
  | { readonly kind: 'vm'; readonly vm: VmInfo }
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'log'; readonly entry: LogEntry }
  /** Past entries of the log have changed, since a VM was renamed: read the log again. */
  | { readonly kind: 'log-rewritten' }
  /**
   * The manager cannot be reached; null once it can again, after the `vm` and `removed` events for all changes in the
   * meantime.
   */
  | { readonly kind: 'link'; readonly loss: Loss | null };

/** Why the manager cannot be reached. */
export type Loss = {
  /**
   * - `disconnected`: the connection broke; the reason is not known yet
   * - `died`: the process ended without giving a reason; the VMs' processes keep running
   * - `ended`: it stopped in an orderly way
   * - `slow`: it runs and is connected, but does not answer
   * - `refused`: a manager runs, but does not accept this client
   */
  readonly kind: 'disconnected' | 'died' | 'ended' | 'slow' | 'refused';
  /** A sentence without a full stop. */
  readonly text: string;
};

/** Whether it has a machine, running or not. */
export function isAlive(vm: Pick<VmInfo, 'state'>): boolean {
  return vm.state !== 'off' && vm.state !== 'crashed';
}

/** What is wrong with its devices, in a sentence each: broken ones first, then those with disk errors. */
export function deviceTroubles({ broken, diskErrors = {} }: Pick<VmInfo, 'broken' | 'diskErrors'>): string[] {
  return [
    ...Object.entries(broken).map(([device, reason]) => `${device} is broken: ${reason}`),
    ...Object.entries(diskErrors).map(([device, text]) => `${device}: ${text}`),
  ];
}

/** Whether it passes through a device without an IOMMU between it and the host's memory. */
export function isUnsafe({ hostDevices = [] }: Pick<VmInfo, 'hostDevices'>): boolean {
  return hostDevices.some(({ noIommu }) => noIommu);
}

/** The warning, to follow the VM's name. */
export const UNSAFE = 'UNSAFE: no IOMMU protects the memory of the host from its guest';

/** Why a VM cannot be started as it is defined, with every reason; null if none is known. */
export function cannotStart({
  problem,
  blockers,
  saved,
}: Pick<VmInfo, 'problem' | 'blockers' | 'saved'>): string | null {
  // It resumes with the configuration it was saved with.
  if (saved !== undefined) return null;
  return problem ?? (blockers.length > 0 ? blockers.join('; ') : null);
}

/** The version that runs it, if that is not `installed`, else null. */
export function otherVersion({ version }: Pick<VmInfo, 'version'>, installed: string): string | null {
  return version === installed ? null : version;
}

/** Why its state cannot be saved, snapshotted or moved while it has the devices that it has; null if it can. */
export function notSavable({ topology }: Pick<VmInfo, 'topology'>): string | null {
  const passed = topology?.devices.find(({ hostDevice }) => hostDevice !== undefined);
  return passed === undefined
    ? null
    : `${passed.name} is ${passed.hostDevice!.address} of the host, whose state is in the hardware: detach it first`;
}

/** Whether it has a guest, running or not. */
export function isUp({ state }: Pick<VmInfo, 'state'>): boolean {
  return state === 'running' || state === 'paused' || state === 'suspended';
}

/** The word for the state of a VM: an invalid definition or a saved state is more than `off`. */
export function stateWord(vm: VmInfo): VmState | 'invalid' | 'saved' {
  if (isAlive(vm)) return vm.state;
  if (vm.saved !== undefined) return 'saved';
  return vm.problem === null ? vm.state : 'invalid';
}
