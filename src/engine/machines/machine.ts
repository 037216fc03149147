import { closeSync } from 'node:fs';
import type { DeviceConfig } from '../../devices/device-table.ts';
import { type Wire, wireFacts, wireFds } from '../../vmm/backends/net/wire.ts';
import type { SharedCounters } from '../../vmm/counters/shared-counters.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { GivenHostDevice, GivenWireFacts, HostDeviceFd, Restore } from '../../vmm/machine/messages.ts';
import type { MachineConnection } from './machine-connection.ts';

/** A machine that runs, or is about to, as its manager sees it. */
export interface Machine {
  /** The vring that runs it; null: it is not known yet. */
  readonly version: string | null;
  /** Null while it has not answered a manager that did not start it. */
  readonly connection: MachineConnection | null;
  /** The process that has its threads. */
  readonly pid: number;
  /**
   * Resolves when nothing of the machine is left, and all that it said has been received: with what its thread or process died of,
   * if it was not by its own end.
   */
  readonly gone: Promise<Death | null>;
  /** For one in this process: the native VM, from the moment there is one. */
  created?(vm: number): void;
  /** Ends it, however it is occupied. */
  destroy(): void;
  /** Is it visibly held up by its host? */
  isHeld(): boolean;
  /** Why it does not respond, or is still there some time after `destroy`, in one sentence. */
  whyStuck(): string;
}

/** A machine that an earlier manager has started. */
export type FoundMachine = {
  readonly config: MachineConfig;
  /** No device has come or gone since it was started. */
  readonly isAsStarted: boolean;
  /** Devices that the earlier manager was about to plug in. */
  readonly pending: readonly DeviceConfig[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Until it answers. */
  readonly silent: Machine;
  /** Resolves once it has answered; with null if it has ended without that. Rejects when it cannot be managed, saying why. */
  readonly answered: Promise<AnsweringMachine | null>;
  /** Takes a place for its next process. @throws when there is no room */
  succeed(): Succession;
  /** As of a `VmPlace`. */
  follow: NonNullable<VmPlace['follow']>;
  /** The machine is gone. */
  release(): void;
};

export type AnsweringMachine = { readonly machine: Machine; readonly counters: SharedCounters };

export type Death = { readonly reason: string; readonly detail: string | null };

/** What a new machine is given. The fds are the caller's to close, also when that fails. */
export type Launch = {
  readonly config: MachineConfig;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The memfd of its counters. */
  readonly countersFd: number;
  /** What it goes on from; absent: it boots. */
  readonly restore?: RestoreFiles | null;
  /** PCI devices of the host that it has from the start. */
  readonly hostDevices?: readonly OpenedHostDevice[];
  /** The networks that it has from the start. */
  readonly wires?: readonly OpenedWire[];
  /** What lets later managers find it; null: it ends with this process. */
  readonly registration: Registration | null;
  /** The socket over which it takes a running machine over; absent: it is a new one. */
  readonly takeOver?: number;
};

/** The open files of a snapshot, and how to go on from it. */
export type RestoreFiles = Restore & { readonly stateFd: number; readonly ramFd: number };

/** What the message `build` says of them, and the fds that come with it. */
export function restoreOf(restore: RestoreFiles | null = null): {
  message: { restore?: Restore };
  fds: number[];
} {
  if (restore === null) return { message: {}, fds: [] };
  const { stateFd, ramFd, ...rest } = restore;
  return { message: { restore: rest }, fds: [stateFd, ramFd] };
}

/** A PCI device of the host, opened for one machine. The fds are the opener's to close. */
export type OpenedHostDevice = Omit<GivenHostDevice, 'fds'> & {
  readonly fds: readonly { readonly kind: HostDeviceFd; readonly fd: number }[];
};

/** What a message says of devices, and the fds that come with it. */
export function hostDevicesOf(opened: readonly OpenedHostDevice[] = []): {
  message: { hostDevices?: GivenHostDevice[] };
  fds: number[];
} {
  if (opened.length === 0) return { message: {}, fds: [] };
  const hostDevices = opened.map(device => ({ ...device, fds: device.fds.map(({ kind }) => kind) }));
  return { message: { hostDevices }, fds: opened.flatMap(({ fds }) => fds.map(({ fd }) => fd)) };
}

/** The machine that they were opened for has fds of its own. */
export function closeHostDevices(opened: readonly OpenedHostDevice[]): void {
  for (const { fd } of opened.flatMap(({ fds }) => fds)) closeSync(fd);
}

/** A network that was opened for the device with this name. The fds are the opener's to close. */
export type OpenedWire = { readonly device: string; readonly wire: Wire };

/** What a message says of networks, and the fds that come with it. */
export function wiresOf(opened: readonly OpenedWire[] = []): {
  message: { wires?: GivenWireFacts[] };
  fds: number[];
} {
  if (opened.length === 0) return { message: {}, fds: [] };
  const wires = opened.map(({ device, wire }) => ({ device, wire: wireFacts(wire) }));
  return { message: { wires }, fds: opened.flatMap(({ wire }) => wireFds(wire)) };
}

/** The machine that they were opened for has fds of its own. */
export function closeWires(opened: readonly OpenedWire[]): void {
  for (const fd of opened.flatMap(({ wire }) => wireFds(wire))) closeSync(fd);
}

/** A place among the machines that outlive their manager. */
export type Registration = {
  readonly token: string;
  /** For a process of root: the uid that it changes to, and the gid of the same number. */
  readonly uid: number | null;
  /** The bound socket that the machine is to listen on. */
  readonly listener: number;
  /** The lock of the VM's name, for the machine to hold; absent: it gets it from the process before it. */
  readonly lock?: number;
  /** The machine's process is known, and about to get its configuration. */
  started(pid: number, launch: Pick<Launch, 'config' | 'startedAt'>): void;
};

/** What a VM holds from before it starts until nothing of it is left. */
export type VmPlace = {
  /** For a machine that outlives this process. */
  readonly registration: Registration | null;
  /** The machine has what it needs of it. */
  handedOver(): void;
  /** Takes a place for the machine's next process. Absent: it ends with this one. @throws when there is no room */
  readonly succeed?: () => Succession;
  /**
   * Later managers know that the machine has other devices now. @param pending those that are being plugged in
   * @throws when that cannot be written
   */
  readonly follow?: (config: MachineConfig, pending: readonly DeviceConfig[]) => void;
  release(): void;
};

/** The place of a process that is to take a machine over from the one that has it. */
export type Succession = {
  readonly registration: Registration;
  /** The process has what it needs of it. */
  handedOver(): void;
  /** Of the two processes, one has the machine for good. @param taken it is the new one */
  settle(taken: boolean): void;
};

/** The place of a machine that no later manager is to find, or that one has found already. */
export function unregistered(release: () => void = () => {}): VmPlace {
  return { registration: null, handedOver: () => {}, release };
}

/** Where an engine's machines run. */
export interface Machines {
  /** @throws when the host has no room for another one */
  launch(launch: Launch): Machine;
  /** Has one ready for the next `launch`: it takes a while to come up. */
  warm(): void;
  /** Why machines cannot be handed to processes of the installed vring; absent or null: they can. */
  whyNotUpgraded?(): string | null;
  /** Ends the one that is ready, if there is one. */
  cool(): Promise<void>;
  /** Some machines are still there, and the process exits. */
  abandon(): void;
}
