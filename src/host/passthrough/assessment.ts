import type { CheckCode, Plan, PlanDevice, VfSettings } from '../plan/plan.ts';

/** The request: whether these functions can be passed through to a VM. */
export type PassthroughRequest = {
  /** Full addresses, which may name functions that the host does not have. */
  readonly addresses: readonly string[];
  /** Without it, nothing that depends on a VM is checked. */
  readonly vm?: PassthroughVm;
  /**
   * VFIO interface: true for iommufd with device files, false for groups and a container. Default: what the kernel
   * offers.
   */
  readonly iommufd?: boolean;
  /** Accept that a device without an IOMMU reaches all host memory. */
  readonly unsafeNoIommu?: boolean;
  /** Settings from a definition, by address; their `iommufd` and `unsafeNoIommu` override those above. */
  readonly options?: Readonly<Record<string, PassthroughOptions>>;
  /** Devices that other VMs have, or take when they start. */
  readonly claims?: readonly Claim[];
};

export type PassthroughVm = {
  readonly name: string;
  readonly memoryBytes: number;
  /** Whether firmware boots it, which makes RAM below 4 GiB end lower. */
  readonly firmware?: boolean;
  readonly vcpus: number;
  /** Host CPUs that its vCPUs are pinned to; null for any. */
  readonly hostCpus: readonly number[] | null;
  readonly state: 'stopped' | 'running';
  /** Page size in bytes if its memory is in huge pages. */
  readonly hugepageBytes?: number | null;
  readonly balloon?: boolean;
  /** Whether KSM may merge its memory. */
  readonly mergeable?: boolean;
  /** Whether the hypervisor is hidden from the guest. */
  readonly hideHypervisor?: boolean;
};

/** Settings that are made on a VF of a network card for the VM. */
export type PassedVfSettings = Pick<VfSettings, 'mac' | 'vlan' | 'qos' | 'trust' | 'spoofCheck'>;

export type PassthroughOptions = PassedVfSettings & {
  readonly iommufd?: boolean;
  readonly unsafeNoIommu?: boolean;
  /** The VF token (a UUID), which VFIO requires if it also has the physical function. */
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
  /** Its name in that VM, if known. */
  readonly device?: string;
};

/** A finding about the passthrough of a device. */
export type Reason = {
  /** `block`: it cannot be passed in the current state. */
  readonly level: 'ok' | 'warn' | 'block';
  readonly code: ReasonCode;
  /** The address, interface or group concerned; null for the host or the VM as a whole. */
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
  /** What a graphics card's drivers require. */
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
  /** The interface through which the first of them would be opened; null if the host has none. */
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
  /** The interface through which it would be opened; null if the host has none. */
  readonly api: VfioApi | null;
  /** Includes those of group members that come along. */
  readonly reasons: readonly Reason[];
  /** The other members of its group. */
  readonly members: readonly GroupMember[];
  /** How the kernel resets it, first choice first; null if not reported, empty if it cannot. */
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

/** DMA requires all guest RAM to be in place. */
export type PinnedMemory = {
  /** All of the VM's memory; null without a VM. */
  readonly bytes: number | null;
  /** What this user may lock (RLIMIT_MEMLOCK), in bytes; null if unlimited. */
  readonly limit: number | null;
  /** Bytes that the host has available; null if not known. */
  readonly available: number | null;
};
