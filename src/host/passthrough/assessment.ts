import type { CheckCode, Plan, PlanDevice, VfSettings } from '../plan/plan.ts';

/** What is asked: whether these functions can be passed through to a VM. */
export type PassthroughRequest = {
  /** Full addresses; of functions that the host does not have, too. */
  readonly addresses: readonly string[];
  /** Without it, what depends on a VM is left open. */
  readonly vm?: PassthroughVm;
  /** VFIO interface: true for iommufd with device files, false for groups and a container; absent: what the kernel offers. */
  readonly iommufd?: boolean;
  /** Accept that a device without an IOMMU reaches all host memory. */
  readonly unsafeNoIommu?: boolean;
  /** What a definition says about a function, by address; for `iommufd` and `unsafeNoIommu`, in place of what is said above. */
  readonly options?: Readonly<Record<string, PassthroughOptions>>;
  /** Devices that other VMs have, or take when they start. */
  readonly claims?: readonly Claim[];
};

export type PassthroughVm = {
  readonly name: string;
  readonly memoryBytes: number;
  /** Whether firmware boots it, which has RAM end lower below 4 GiB. */
  readonly firmware?: boolean;
  readonly vcpus: number;
  /** Host CPUs that its vCPUs are pinned to; null: any. */
  readonly hostCpus: readonly number[] | null;
  readonly state: 'stopped' | 'running';
  /** Bytes of one page if its memory is in huge pages. */
  readonly hugepageBytes?: number | null;
  readonly balloon?: boolean;
  /** Whether KSM may merge its memory. */
  readonly mergeable?: boolean;
  /** Whether it hides from its guest that it is a VM. */
  readonly hideHypervisor?: boolean;
};

/** What of a VF of a network card is set for the VM. */
export type PassedVfSettings = Pick<VfSettings, 'mac' | 'vlan' | 'qos' | 'trust' | 'spoofCheck'>;

export type PassthroughOptions = PassedVfSettings & {
  readonly iommufd?: boolean;
  readonly unsafeNoIommu?: boolean;
  /** The UUID that VFIO asks for if it has the physical function, too. */
  readonly vfToken?: string;
  /** Expected `vendor:device`. */
  readonly id?: string;
  /** Its ROM comes from a file. */
  readonly romfile?: string;
};

export type Claim = {
  readonly address: string;
  readonly vm: string;
  readonly running: boolean;
  /** Its name in that VM, if it is known. */
  readonly device?: string;
};

/** One thing that matters to the passthrough of a device. */
export type Reason = {
  /** `block`: it cannot be passed as things are. */
  readonly level: 'ok' | 'warn' | 'block';
  readonly code: ReasonCode;
  /** The address, interface or group that it is about; null for the host or the VM as a whole. */
  readonly subject: string | null;
  /** A sentence without its full stop. */
  readonly reason: string;
  /** How to change it: commands and advice, in order; empty if nothing can or need be done. */
  readonly repair: readonly string[];
};

export type ReasonCode =
  | CheckCode
  /** There is no such function. */
  | 'absent'
  /** The expected vendor and device ID. */
  | 'id'
  | 'interrupts'
  | 'acs'
  /** Memory that the firmware reserves for the device, or that the IOMMU cannot map. */
  | 'reserved'
  | 'audio'
  /** What drivers of a graphics card ask for. */
  | 'graphics'
  | 'mac'
  /** Loadable modules and the configuration of the kernel. */
  | 'module'
  /** Device files in /dev. */
  | 'node'
  | 'api'
  | 'memory'
  | 'hugepages'
  | 'mappings'
  | 'numa'
  /** Another VM. */
  | 'vm';

/** Whether functions of a host can be passed to a VM, why not, and what it takes. */
export type Assessment = {
  /** Nothing blocks any of them. */
  readonly possible: boolean;
  readonly devices: readonly DeviceAssessment[];
  /** About the host and the VM. */
  readonly reasons: readonly Reason[];
  /** The interface by which the first of them would be opened; null if the host has none. */
  readonly api: VfioApi | null;
  /** Without an IOMMU: the guest reaches all host memory. */
  readonly unsafe: boolean;
  /** Binds what is not bound to a VFIO driver yet; without steps if nothing is left to do. */
  readonly plan: Plan;
  /** What the VM cannot do while it has such a device. */
  readonly losses: readonly Loss[];
  readonly memory: PinnedMemory;
};

/** The interfaces of VFIO: groups with a container, and iommufd with device files. */
export type VfioApi = 'group' | 'iommufd';

export type DeviceAssessment = {
  readonly address: string;
  /** Vendor and device; null if there is no such function. */
  readonly name: string | null;
  readonly possible: boolean;
  readonly driver: string | null;
  readonly iommuGroup: number | null;
  readonly numaNode: number | null;
  /** The interface by which it would be opened; null if the host has none. */
  readonly api: VfioApi | null;
  /** Those of the members that come along are among them. */
  readonly reasons: readonly Reason[];
  /** The other members of its group. */
  readonly members: readonly GroupMember[];
  /** How the kernel resets it, first choice first; null: not reported, empty: not at all. */
  readonly resetMethods: readonly string[] | null;
  /** What the host loses, in a few words; null for nothing. */
  readonly hostLoses: string | null;
};

export type GroupMember = {
  readonly address: string;
  readonly name: string;
  readonly driver: string | null;
  /** `asked`: passed too. `group`: comes along, and no longer serves the host. `left`: may stay as it is. */
  readonly role: PlanDevice['role'];
};

export type Loss = {
  /** `live migration`. */
  readonly what: string;
  readonly why: string;
};

/** Device memory access needs all of guest RAM in place. */
export type PinnedMemory = {
  /** All of the VM's memory; null without a VM. */
  readonly bytes: number | null;
  /** What this user may lock (RLIMIT_MEMLOCK), in bytes; null: without limit. */
  readonly limit: number | null;
  /** Bytes that the host has available; null if not known. */
  readonly available: number | null;
};
