import { closeSync } from 'node:fs';
import type { DeviceConfig } from '../../devices/device-table.ts';
import { type Wire, wireFacts, wireFds } from '../../vmm/backends/net/wire.ts';
import type { SharedCounters } from '../../vmm/counters/shared-counters.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { GivenHostDevice, GivenWireFacts, HostDeviceFd, Restore } from '../../vmm/machine/messages.ts';
import type { MachineConnection } from './machine-connection.ts';

/** A machine that runs or is starting, as its manager sees it. */
export interface Machine {
  /** The version that runs it; null if not known yet. */
  readonly version: string | null;
  /** Null until it has answered a manager that did not start it. */
  readonly connection: MachineConnection | null;
  /** The process that has its threads. */
  readonly pid: number;
  /**
   * Resolves once the machine is gone and all its messages have been received: with how its thread or process died, if
   * it did not end on its own.
   */
  readonly gone: Promise<Death | null>;
  /** For a machine in this process: receives the native VM once it exists. */
  created?(vm: number): void;
  /** Ends it, whatever it is doing. */
  destroy(): void;
  /** Whether it is visibly held up by its host. */
  isHeld(): boolean;
  /** Why it does not respond, or still exists some time after `destroy`, in one sentence. */
  whyStuck(): string;
}

/** A running machine that an earlier manager started. */
export type FoundMachine = {
  readonly config: MachineConfig;
  /** No device has been added or removed since it was started. */
  readonly isAsStarted: boolean;
  /** Devices that the earlier manager was about to plug in. */
  readonly pending: readonly DeviceConfig[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The machine until it answers. */
  readonly silent: Machine;
  /**
   * Resolves once it has answered; with null if it ended without answering. Rejects with the reason when it cannot be
   * managed.
   */
  readonly answered: Promise<AnsweringMachine | null>;
  /** Takes a place for its next process. @throws when there is no room */
  succeed(): Succession;
  /** As in `VmPlace`. */
  follow: NonNullable<VmPlace['follow']>;
  /** As in `VmPlace`. */
  renew: NonNullable<VmPlace['renew']>;
  /** Called once the machine is gone. */
  release(): void;
};

export type AnsweringMachine = { readonly machine: Machine; readonly counters: SharedCounters };

export type Death = { readonly reason: string; readonly detail: string | null };

/** What a new machine is given. The caller closes the fds, also on failure. */
export type Launch = {
  readonly config: MachineConfig;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The memfd of its counters. */
  readonly countersFd: number;
  /** The snapshot to resume from; default: it boots. */
  readonly restore?: RestoreFiles | null;
  /** Host PCI devices that it has from the start. */
  readonly hostDevices?: readonly OpenedHostDevice[];
  /** The networks that it has from the start. */
  readonly wires?: readonly OpenedWire[];
  /** What lets later managers find it; null if it ends with this process. */
  readonly registration: Registration | null;
  /** The socket over which it takes over a running machine; default: it is a new one. */
  readonly takeOver?: number;
};

/** The open files of a snapshot, and how to resume from it. */
export type RestoreFiles = Restore & { readonly stateFd: number; readonly ramFd: number };

/** The `restore` part of the message `build`, and the fds that go with it. */
export function restoreOf(restore: RestoreFiles | null = null): {
  message: { restore?: Restore };
  fds: number[];
} {
  if (restore === null) return { message: {}, fds: [] };
  const { stateFd, ramFd, ...rest } = restore;
  return { message: { restore: rest }, fds: [stateFd, ramFd] };
}

/** A host PCI device, opened for one machine. The opener closes the fds. */
export type OpenedHostDevice = Omit<GivenHostDevice, 'fds'> & {
  readonly fds: readonly { readonly kind: HostDeviceFd; readonly fd: number }[];
};

/** The device part of a message, and the fds that go with it. */
export function hostDevicesOf(opened: readonly OpenedHostDevice[] = []): {
  message: { hostDevices?: GivenHostDevice[] };
  fds: number[];
} {
  if (opened.length === 0) return { message: {}, fds: [] };
  const hostDevices = opened.map(device => ({ ...device, fds: device.fds.map(({ kind }) => kind) }));
  return { message: { hostDevices }, fds: opened.flatMap(({ fds }) => fds.map(({ fd }) => fd)) };
}

/** Closes them here; the machine has its own fds. */
export function closeHostDevices(opened: readonly OpenedHostDevice[]): void {
  for (const { fd } of opened.flatMap(({ fds }) => fds)) closeSync(fd);
}

/** A network opened for the device with this name. The opener closes the fds. */
export type OpenedWire = { readonly device: string; readonly wire: Wire };

/** The network part of a message, and the fds that go with it. */
export function wiresOf(opened: readonly OpenedWire[] = []): {
  message: { wires?: GivenWireFacts[] };
  fds: number[];
} {
  if (opened.length === 0) return { message: {}, fds: [] };
  const wires = opened.map(({ device, wire }) => ({ device, wire: wireFacts(wire) }));
  return { message: { wires }, fds: opened.flatMap(({ wire }) => wireFds(wire)) };
}

/** Closes them here; the machine has its own fds. */
export function closeWires(opened: readonly OpenedWire[]): void {
  for (const fd of opened.flatMap(({ wire }) => wireFds(wire))) closeSync(fd);
}

/** A place among the machines that outlive their manager. */
export type Registration = {
  readonly token: string;
  /** For a process of root: the uid to change to, and the gid of the same number. */
  readonly uid: number | null;
  /** The bound socket for the machine to listen on. */
  readonly listener: number;
  /** The lock of the VM's name, for the machine to hold; default: it gets it from the process before it. */
  readonly lock?: number;
  /** The machine's process is known, and is about to receive its configuration. */
  started(pid: number, launch: Pick<Launch, 'config' | 'startedAt'>): void;
};

/** What a VM holds from before it starts until it is entirely gone. */
export type VmPlace = {
  /** For a machine that outlives this process. */
  readonly registration: Registration | null;
  /** The machine has received what it needs from it. */
  handedOver(): void;
  /**
   * Takes a place for the machine's next process. Default: the machine ends with this one. @throws when there is no
   * room
   */
  readonly succeed?: () => Succession;
  /**
   * Records for later managers that the machine has other devices now. @param pending those being plugged in
   * @throws when that cannot be written
   */
  readonly follow?: (config: MachineConfig, pending: readonly DeviceConfig[]) => void;
  /**
   * Prepares again what later managers need to find the machine, if some of it was removed. @throws when that is not
   * possible
   */
  readonly renew?: () => Renewal | null;
  release(): void;
};

/** What was removed from a machine's place, created again. */
export type Renewal = {
  /** For the machine: a socket to listen on, and with `lock` the lock of its name; empty if it needs neither. */
  readonly fds: readonly number[];
  readonly lock: boolean;
  /** The machine has them, or did not take them. */
  settle(taken: boolean): void;
};

/** The place of a process that takes over a machine from the one that has it. */
export type Succession = {
  readonly registration: Registration;
  /** The process has received what it needs from it. */
  handedOver(): void;
  /** One of the two processes has the machine for good. @param taken whether it is the new one */
  settle(taken: boolean): void;
};

/** The place of a machine that no later manager should find, or that one has found already. */
export function unregistered(release: () => void = () => {}): VmPlace {
  return { registration: null, handedOver: () => {}, release };
}

/** Where an engine's machines run. */
export interface Machines {
  /** @throws when the host has no room for another one */
  launch(launch: Launch): Machine;
  /** Prepares a process or thread for the next `launch`, as starting one takes a while. */
  warm(): void;
  /** Why machines cannot be handed to processes of the installed vring; undefined or null if they can. */
  whyNotUpgraded?(): string | null;
  /** Ends the prepared process or thread, if there is one. */
  cool(): Promise<void>;
  /** The process exits while some machines still exist. */
  abandon(): void;
}
