import type { Finding } from '../host/doctor/finding.ts';
import type { PhysicalFunction, VirtualFunction } from '../host/sriov/read.ts';
import type { HostView } from './device-owners.ts';

/** What every line of a list of the host has. */
export type HostRow = {
  readonly key: string;
  readonly address: string | null;
  /** False for what a filter shows for the sake of something below it. */
  readonly matches?: boolean;
};

/** A row, and the host that it is of. */
export type Listed<Row> = { readonly host: HostView; readonly row: Row };

/** A line of the PCI tree. */
export type PciRow = {
  /** The address, or `bus 0000:3a`. */
  readonly key: string;
  /** Null for a root bus. */
  readonly address: string | null;
  /** The bus of a root bus, the address of all others. */
  readonly name: string;
  readonly depth: number;
  /** Null: nothing is below it. */
  readonly open: boolean | null;
  /** False for what is shown for the sake of something below it. */
  readonly matches: boolean;
};

/** A member of an IOMMU group. */
export type GroupRow = {
  readonly key: string;
  /** Null for a member that is on no PCI bus. */
  readonly address: string | null;
  /** Address, or name on another bus. */
  readonly name: string;
  readonly group: number;
  /** Its place among the members that are shown. */
  readonly place: 'only' | 'first' | 'middle' | 'last';
};

/** A function that can have virtual ones, or one of those. */
export type SriovRow = {
  readonly key: string;
  readonly address: string;
  readonly physical: PhysicalFunction;
  /** Null for the physical function itself. */
  readonly virtual: VirtualFunction | null;
  /** False for a physical function that is shown for the sake of its VFs. */
  readonly matches: boolean;
};

/** A function that may be given to a guest. */
export type VfioRow = { readonly key: string; readonly address: string };

export type DoctorRow = { readonly key: string; readonly address: null; readonly finding: Finding };
