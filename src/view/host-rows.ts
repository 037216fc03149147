import type { Finding } from '../host/doctor/finding.ts';
import type { PhysicalFunction, VirtualFunction } from '../host/sriov/read.ts';
import type { HostView } from './device-owners.ts';

/** The common part of all lines in host lists. */
export type HostRow = {
  readonly key: string;
  readonly address: string | null;
  /** False for a row that a filter shows only because of one below it. */
  readonly matches?: boolean;
};

/** A row, with its host. */
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
  /** Null if it has no children. */
  readonly open: boolean | null;
  /** False for a row that is shown only because of one below it. */
  readonly matches: boolean;
};

/** A member of an IOMMU group. */
export type GroupRow = {
  readonly key: string;
  /** Null for a member that is not on a PCI bus. */
  readonly address: string | null;
  /** Address, or name on another bus. */
  readonly name: string;
  readonly group: number;
  /** Its place among the visible members. */
  readonly place: 'only' | 'first' | 'middle' | 'last';
};

/** A PF, or one of its VFs. */
export type SriovRow = {
  readonly key: string;
  readonly address: string;
  readonly physical: PhysicalFunction;
  /** Null for the PF itself. */
  readonly virtual: VirtualFunction | null;
  /** False for a PF that is shown only because of its VFs. */
  readonly matches: boolean;
};

/** A function that can be given to a guest. */
export type VfioRow = { readonly key: string; readonly address: string };

export type DoctorRow = { readonly key: string; readonly address: null; readonly finding: Finding };
