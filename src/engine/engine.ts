import type { MachineConfigInput } from '../vmm/config.ts';
import type { Topology } from '../vmm/topology.ts';

export type { Topology } from '../vmm/topology.ts';

export type VmState = 'starting' | 'running' | 'paused' | 'stopping' | 'off' | 'crashed';

/** One VM as every screen and command sees it. */
export type VmInfo = {
  readonly id: string;
  readonly name: string;
  readonly state: VmState;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Why it is off or crashed, in one sentence; with a register dump in `detail` after a KVM error. */
  readonly reason: string | null;
  readonly detail: string | null;
  /** The code of the guest's debug-exit port, when it ended itself through it. */
  readonly exitCode: number | null;
  /** Devices that stopped serving their driver because it broke the rules, each with the reason. */
  readonly broken: Readonly<Record<string, string>>;
  /** Milliseconds since 1970, or null before the first start. */
  readonly startedAt: number | null;
  readonly topology: Topology | null;
};

export type EngineEvent =
  | { readonly kind: 'vm'; readonly vm: VmInfo }
  | { readonly kind: 'removed'; readonly id: string }
  | { readonly kind: 'console'; readonly id: string; readonly bytes: Uint8Array };

/** CPU time of one vCPU thread, from /proc, in nanoseconds: what the counters can't tell. */
export type ThreadTimes = { readonly guestNs: number; readonly userNs: number; readonly systemNs: number };

/**
 * All that the UI and the commands may ask of the VMM. The local engine runs the VMs in this process; a remote one
 * will speak to another process's.
 */
export interface Engine {
  vms(): readonly VmInfo[];
  /** Takes the VM in and starts it. @returns its id. @throws with a sentence for the user when the configuration is bad. */
  start(config: MachineConfigInput): Promise<string>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** The reset button. */
  reset(id: string): Promise<void>;
  /** The ACPI power button: the guest decides. */
  powerButton(id: string): Promise<void>;
  /** Ends the VM at once; resolves when its threads, files and memory are gone. */
  kill(id: string): Promise<void>;
  /** Starts a VM that is off or crashed again, with the same configuration. */
  restart(id: string): Promise<void>;
  /** Takes a VM that is off or crashed out of the list. */
  remove(id: string): Promise<void>;
  /** The VM's counters (see vmm/counters.ts), read in place; null before the machine has been built. */
  counters(id: string): BigUint64Array | null;
  /** By vCPU. */
  threadTimes(id: string): readonly ThreadTimes[];
  /** Typed bytes for the first serial port. */
  type(id: string, bytes: Uint8Array): void;
  /** The last bytes that the first serial port printed, oldest first, at most 64 KiB. */
  scrollback(id: string): Uint8Array;
  subscribe(listener: (event: EngineEvent) => void): () => void;
  /** Ends every VM and waits for it. */
  close(): Promise<void>;
}
