import type { MachineConfig } from '../vmm/machine/config.ts';
import type { MachineEnd } from '../vmm/machine/messages.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import type { DefinedVm } from './definitions.ts';
import type { VmAgent } from './guest-agent/vm-agent.ts';
import type { VmCards } from './networks/vm-cards.ts';
import type { VmNic } from './networks/vm-nics.ts';
import type { ServedVnc } from './served-vnc.ts';
import type { SavedState, VmTask } from './snapshots/snapshot-info.ts';
import type { VmConsoles } from './vm-consoles.ts';
import type { VmHostDevice, VmInfo, VmState } from './vm-info.ts';
import type { VmRun } from './vm-run.ts';

/** A VM's states on disk: the one it was saved to, and the names of its snapshots, oldest first. */
export type StoredOfVm = { readonly saved: SavedState | null; readonly snapshots: readonly string[] };

/** What is shown of a VM. */
export type VmParts = {
  readonly name: string;
  readonly state: VmState;
  /** Why it is stuck; null if it is not. */
  readonly stuck: string | null;
  readonly end: MachineEnd | null;
  readonly interrupted: boolean;
  readonly startedAt: number | null;
  /** Whether it is starting or ending, or has a machine. */
  readonly isInUse: boolean;
  /** Its machine; null if it has none. */
  readonly run: VmRun | null;
  /** Its present or last machine. */
  readonly lastRun: VmRun | null;
  readonly config: MachineConfig | null;
  readonly defined: DefinedVm | null;
  readonly stored: StoredOfVm;
  readonly task: VmTask | null;
  readonly hostDevices: readonly VmHostDevice[];
  readonly nics: readonly VmNic[];
  readonly cards: VmCards;
  readonly agent: VmAgent;
  readonly servedVnc: ServedVnc | null;
  readonly consoles: VmConsoles;
};

/** One VM, for all screens and commands. */
export function describeVm(vm: VmParts): VmInfo {
  const { run, lastRun, end, config, defined, stored, agent, consoles, hostDevices, nics } = vm;
  const diskErrors = lastRun?.diskErrors ?? {};
  const holders = consoles.otherKeyboardHolders;
  return {
    id: vm.name,
    name: vm.name,
    state: vm.state,
    ...sizeOf(vm),
    reason: vm.stuck ?? end?.reason ?? run?.pausedBy ?? null,
    detail: end?.detail ?? null,
    exitCode: end?.exitCode ?? null,
    ...(vm.interrupted && { interrupted: true }),
    startedAt: vm.startedAt,
    pid: run?.machine.pid ?? null,
    version: run?.machine.version ?? null,
    broken: lastRun?.broken ?? {},
    ...(Object.keys(diskErrors).length > 0 && { diskErrors }),
    confinement: lastRun?.confinement ?? null,
    topology: withoutAgent(lastRun?.topology ?? null),
    ...(run !== null && agent.facts !== null && { guest: agent.facts }),
    defined: defined !== null,
    problem: defined?.problem ?? null,
    blockers: defined?.blockers ?? [],
    autostart: defined?.autostart ?? false,
    ...(stored.saved !== null && { saved: stored.saved }),
    ...(stored.snapshots.length > 0 && { snapshots: stored.snapshots }),
    ...(vm.task !== null && { task: vm.task }),
    ...(hostDevices.length > 0 && { hostDevices }),
    ...(nics.length > 0 && { nics: run === null ? nics : vm.cards.withAddresses(nics, agent) }),
    ...((defined?.devices?.length ?? 0) > 0 && { definedDevices: defined!.devices! }),
    ...(run !== null && config?.vnc !== undefined && { vnc: config.vnc }),
    ...(vm.servedVnc !== null && { servedVnc: vm.servedVnc }),
    keyboardHolder: consoles.keyboardHolder,
    ...(Object.keys(holders).length > 0 && { keyboardHolders: holders }),
  };
}

/** The size of its present machine, or at its next start. */
function sizeOf({
  isInUse,
  run,
  defined,
  config,
}: VmParts): Pick<VmInfo, 'vcpus' | 'maxVcpus' | 'memoryBytes'> {
  const next = isInUse ? null : defined;
  const vcpus = next?.vcpus ?? run?.topology?.vcpus ?? config?.cpus ?? 0;
  const most = next === null ? config?.maxCpus : next.maxVcpus;
  return {
    vcpus,
    ...(most !== undefined && most > vcpus && { maxVcpus: most }),
    memoryBytes: next?.memoryBytes ?? config?.memory.bytes ?? 0,
  };
}

/** The port of the guest agent is only for the manager. */
function withoutAgent(topology: Topology | null): Topology | null {
  if (!topology?.consoles.some(({ agent }) => agent)) return topology;
  return { ...topology, consoles: topology.consoles.filter(({ agent }) => !agent) };
}
