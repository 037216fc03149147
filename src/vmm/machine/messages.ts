import type { TerminalSize } from '../../devices/backends/char.ts';
import type { DiskFormat, DiskLimits, DiskOptions } from '../../devices/backends/disk.ts';
import type { NetLimits } from '../../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { ScreenResize } from '../../devices/display/monitor-size.ts';
import type { ScreenSeen } from '../../devices/display/screen-frame.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import type { BackingFile } from '../backends/image-chain.ts';
import type { WireFacts } from '../backends/net/wire.ts';
import type { OpenDisk } from '../backends/open-disk.ts';
import type { Layer } from '../confinement/layer.ts';
import type { CpuFeatures } from '../cpu/cpuid-features.ts';
import type { FileIdentity } from '../snapshot/file-identity.ts';
import type { MachineConfig } from './config.ts';
import type { MachinePlaces, Topology } from './topology.ts';

/** The version of these messages. A manager and a machine that was started by another version of vring compare it first. */
export const PROTOCOL = 2;

/** Messages from a manager to a machine. What is typed travels in frames of its own (frames.ts). */
export type ToMachine =
  /**
   * Builds the machine. With it come fds: the memfd of the counters, zeroed; for one that outlives
   * its manager also the socket that later managers connect to, and the lock of its name; or, for one that takes a machine over,
   * the socket to the process that has it, which passes the lock.
   * For one that is restored the files of its state and of its RAM come right after the counters, and then those of its host devices,
   * and of its networks.
   */
  | {
      readonly kind: 'build';
      readonly config: MachineConfig;
      /** What a later manager recognizes the machine by. */
      readonly token: string;
      /** Of a process: the layers that it was started with, and a uid and gid of its own, if it is to have one. */
      readonly layers: readonly Layer[];
      readonly user: { readonly uid: number; readonly gid: number } | null;
      /** It is taken over from the process that runs it. */
      readonly takeOver?: boolean;
      /** It goes on from a snapshot; absent: it boots. */
      readonly restore?: Restore;
      /** PCI devices of the host that it has from the start. */
      readonly hostDevices?: readonly GivenHostDevice[];
      /** The networks that it has from the start. */
      readonly wires?: readonly GivenWireFacts[];
    }
  | ({ readonly kind: 'command'; readonly id: number } & MachineCommand)
  /** The manager has logged something about this VM: the machine keeps it for a later manager. */
  | { readonly kind: 'note'; readonly event: MachineEvent }
  /** The manager knows how the machine ended: nobody needs it any more. */
  | { readonly kind: 'collected' };

/** Each command's arguments and result. */
export type MachineCommands = {
  pause: { readonly arguments: Nothing; readonly result: null };
  resume: { readonly arguments: Nothing; readonly result: null };
  /** The reset button. */
  reset: { readonly arguments: Nothing; readonly result: null };
  /** The ACPI power button, which wakes up a guest that sleeps. */
  'power-button': { readonly arguments: Nothing; readonly result: { readonly noticed: boolean } };
  /** A guest that sleeps in S3 is to go on. */
  wake: { readonly arguments: Nothing; readonly result: null };
  /** A disk's file has another size now: the guest is told. `file`: the one that has it, of `fileIdentity`. */
  'resize-disk': {
    readonly arguments: { readonly device: string; readonly bytes: number; readonly file: string };
    readonly result: null;
  };
  /** Replaces the limits of a disk's rate. */
  'limit-disk': {
    readonly arguments: { readonly device: string; readonly limits: DiskLimits };
    readonly result: null;
  };
  /** Plugs the cable of a network card in, or out. */
  'set-link': {
    readonly arguments: { readonly device: string; readonly up: boolean };
    readonly result: null;
  };
  /** Replaces the limits of a network card's rates. */
  'limit-nic': {
    readonly arguments: { readonly device: string; readonly limits: NetLimits };
    readonly result: null;
  };
  /**
   * What is new on a screen to somebody who has seen `seen`. Answers when there is something, and after some seconds with null.
   * `device` null: the first that has one.
   */
  screen: {
    readonly arguments: { readonly device: string | null; readonly seen: ScreenSeen };
    readonly result: EncodedNews | null;
  };
  /** A screen's monitor is to prefer this size, in pixels, which is one that MONITOR_SIDE allows. */
  'resize-screen': {
    readonly arguments: { readonly device: string | null; readonly width: number; readonly height: number };
    readonly result: ScreenResize;
  };
  /** The guest is to keep this many bytes of its memory: the balloon takes the rest. */
  'set-balloon': { readonly arguments: { readonly bytes: number }; readonly result: null };
  /**
   * Keys and the pointer. The guest may not have taken enough of what came before for all `events`: `taken` is how many it got, from
   * the first.
   */
  input: {
    readonly arguments: { readonly events: readonly InputEvent[] };
    readonly result: { readonly taken: number };
  };
  /**
   * Puts a medium into a drive, or takes out what is in it (`disk` null). With it comes the fd of `disk`. A guest that has locked
   * the drive is asked to release it, and this fails unless `force` is given.
   */
  'change-medium': {
    readonly arguments: {
      readonly device: string;
      readonly force: boolean;
      readonly disk: { readonly options: DiskOptions; readonly facts: DiskFacts } | null;
    };
    readonly result: null;
  };
  /**
   * Plugs in a device. With it come the fds of `hostDevices`, as with `build`, then those of `disk`, then those of `wire`, then that of `rom`. Of one that
   * fails nothing is left.
   */
  plug: { readonly arguments: PlugArguments; readonly result: PluggedIn };
  /** Has the guest release a device, or takes it without asking; answers when it is out, which a guest may never let happen. */
  unplug: { readonly arguments: { readonly device: string; readonly force: boolean }; readonly result: null };
  /** The guest need not release a device any more: the `unplug` commands that wait for it fail. */
  'cancel-unplug': { readonly arguments: { readonly device: string }; readonly result: null };
  /** The disks that it has, in an order that stays. */
  disks: { readonly arguments: Nothing; readonly result: readonly DiskLabel[] };
  /**
   * Writes a snapshot; answers when all of it is written. With it come fds: of the state, of the RAM and of its checksums, and for each
   * of `disks` of its copy and of the checksums of that.
   */
  snapshot: { readonly arguments: SnapshotArguments; readonly result: WrittenSnapshot };
  /** Gives the snapshot up, or lets a machine go on that stands still after one. */
  'end-snapshot': { readonly arguments: Nothing; readonly result: null };
  /** Only asks for an answer, which a machine that is held up does not give. */
  ping: { readonly arguments: Nothing; readonly result: null };
  /** Hands the machine to the process at the other end of the socket that comes with it. There is a reply if that fails, else `handed-over`. */
  'hand-over': { readonly arguments: Nothing; readonly result: null };
  /** How large the terminal at a console is. */
  'resize-console': {
    readonly arguments: { readonly port: number } & TerminalSize;
    readonly result: null;
  };
  /** Ends the machine. */
  stop: { readonly arguments: { readonly reason: string }; readonly result: null };
};

/** `update`: as screen-update.ts has it, in base64. */
export type EncodedNews = { readonly seen: ScreenSeen; readonly update: string };

/** The network of the device with this name, without its fds. */
export type GivenWireFacts = { readonly device: string; readonly wire: WireFacts };

/** An open disk, without its fds. Absent from a version that has raw images only: what concerns others. */
export type DiskFacts = Omit<OpenDisk, 'fd' | 'backing' | 'imageFormat'> & {
  readonly imageFormat?: DiskFormat | undefined;
  readonly backing?: readonly Omit<BackingFile, 'fd'>[] | undefined;
};

export function diskFacts({ fd: _, backing, ...facts }: OpenDisk): DiskFacts {
  return { ...facts, backing: backing.map(({ path, format }) => ({ path, format })) };
}

/** How many fds an open disk has. */
export function fdCount({ backing = [] }: DiskFacts): number {
  return 1 + backing.length;
}

/** @param fds of the disk, as `fdsOf` has them */
export function diskOfFacts(
  { backing = [], imageFormat = 'raw', ...facts }: DiskFacts,
  fds: readonly number[],
): OpenDisk {
  const files = backing.map((file, index) => ({ ...file, fd: fds[1 + index]! }));
  return { ...facts, imageFormat, backing: files, fd: fds[0]! };
}

export type PlugArguments = {
  /** Checked, but for the options of a device module's type. Without `bus` and `addr` the machine places it. */
  readonly config: DeviceConfig;
  readonly name: string;
  readonly hostDevices?: readonly GivenHostDevice[];
  /** Its disk, which the manager has opened and locked. */
  readonly disk?: DiskFacts;
  /** Its network, which the manager has opened. */
  readonly wire?: WireFacts;
  /** The path of its ROM, which the manager has opened. */
  readonly rom?: string;
};

/** Where a device has been plugged in. */
export type PluggedIn = {
  readonly bus: string;
  /** On the bus, as in a configuration: `05.0`. */
  readonly addr: string;
  /** Whether the guest has a driver that looks at it now; else it finds the device when it looks for devices next. */
  readonly noticed: boolean;
};

/** Bytes. */
export type DiskLabel = {
  readonly path: string;
  readonly readonly: boolean;
  readonly isBlockDevice: boolean;
  readonly size: number;
  /** What its guest has written is in no file that has a name. */
  readonly transient?: boolean;
};

export type SnapshotArguments = {
  /** The disks to copy, by their index in the list of all. */
  readonly disks: readonly number[];
  /** The machine is to stand still afterwards, until `end-snapshot`, or until its manager is gone. */
  readonly hold: boolean;
};

/** A disk's own file, and those that back it, from the top of the chain down; absent: none does. */
type SavedFiles = {
  readonly identity: FileIdentity;
  readonly backing?: readonly { readonly path: string; readonly identity: FileIdentity }[];
};

/** What a machine has written of itself. Bytes. */
export type WrittenSnapshot = {
  readonly stateBytes: number;
  /** In all files. */
  readonly written: number;
  readonly cpu: CpuFeatures;
  /** Its devices, as the state has them. Absent from a machine of a version whose devices do not come and go. */
  readonly places?: MachinePlaces;
  /** All disks, as the snapshot found them. */
  readonly disks: readonly (DiskLabel & SavedFiles)[];
  /** For each copied disk: the copy shares its blocks, and has no checksums. */
  readonly cloned: readonly boolean[];
};

/** Bytes. */
export type SnapshotProgress = {
  readonly done: number;
  /** 0: it waits for the machine to stand still. */
  readonly total: number;
  readonly written: number;
  /** Devices whose back ends have not finished their requests. */
  readonly waitingFor: readonly string[];
};

export type Restore = {
  /** It is to be paused. */
  readonly paused: boolean;
};

/** What a manager opens of a host device: `/dev/vfio/vfio`, `/dev/iommu`, `/dev/vfio/GROUP` and `/dev/vfio/devices/vfioN`. */
export type HostDeviceFd = 'container' | 'iommufd' | 'group' | 'device';

/** A PCI device of the host that a manager has opened for a machine. */
export type GivenHostDevice = {
  /** `0000:01:10.0` */
  readonly address: string;
  readonly api: 'group' | 'iommufd';
  /** The number of its IOMMU group. */
  readonly group: number;
  /** How the host resets it, as sysfs has it (`reset_method`). */
  readonly resetMethods: readonly string[];
  /** No IOMMU is between the device and the host's memory (VFIO_NOIOMMU_IOMMU). */
  readonly noIommu: boolean;
  /** The UUID that VFIO asks for if it has the physical function, too. */
  readonly vfToken?: string;
  /**
   * The fds that come for it, in this order. A machine has one container or iommufd, which comes with the first of its devices that uses
   * it, and one fd of each group, with the first device of that.
   */
  readonly fds: readonly HostDeviceFd[];
};

export type CommandName = keyof MachineCommands;
type Nothing = Readonly<Record<string, never>>;

export type MachineCommand = {
  [Name in CommandName]: { readonly command: Name; readonly arguments: MachineCommands[Name]['arguments'] };
}[CommandName];

/** Messages from a machine to its manager. What the guest prints travels in frames of its own. */
export type FromMachine =
  /** The first message to a manager that has connected to a running machine; its fd is that of the counters. The rest of what it has to say follows. */
  | ({ readonly kind: 'hello' } & MachineIdentity)
  /** For a manager in the same process: the native VM, which owns every thread, fd and mapping. */
  | { readonly kind: 'created'; readonly vm: number }
  | { readonly kind: 'topology'; readonly topology: Topology }
  /** What became of each layer of its process's confinement. */
  | { readonly kind: 'confinement'; readonly layers: readonly Layer[] }
  | { readonly kind: 'state'; readonly state: RunState; readonly reason?: string | undefined }
  /** Devices that stopped serving their driver, each with the reason; the machine keeps running. */
  | { readonly kind: 'broken'; readonly broken: Readonly<Record<string, string>> }
  /** Devices whose requests the host's disk has failed in the last minute or two, each with what failed last. */
  | { readonly kind: 'disk-errors'; readonly diskErrors: Readonly<Record<string, string>> }
  /** The snapshot that is being taken; null: none. */
  | { readonly kind: 'snapshot'; readonly progress: SnapshotProgress | null }
  | { readonly kind: 'event'; readonly event: MachineEvent }
  /** How many typed bytes the guest has taken from a port since the last such message. */
  | { readonly kind: 'input-taken'; readonly port: number; readonly bytes: number }
  | {
      readonly kind: 'reply';
      readonly id: number;
      readonly error: string | null;
      readonly result: unknown;
    }
  /** The last message of a process whose machine goes on in another one. */
  | { readonly kind: 'handed-over' }
  /** The machine of another process goes on in this one. */
  | ({ readonly kind: 'taken-over' } & TakenOver)
  /** It has stopped, and is being taken apart. */
  | { readonly kind: 'ending'; readonly end: MachineEnd }
  /** The last message: everything the VM held has been released. */
  | { readonly kind: 'ended'; readonly end: MachineEnd };

/** `suspended`: the guest sleeps in ACPI S3. */
export type RunState = 'starting' | 'running' | 'paused' | 'suspended';

/** How a machine was handed over. */
export type TakenOver = {
  /** The vring that has run it. */
  readonly from: string;
  /** From the moment it was asked to stop until it went on. */
  readonly stoodStillMs: number;
};

/** What identifies a machine to a manager that did not start it. */
export type MachineIdentity = {
  readonly protocol: number;
  readonly version: string;
  readonly token: string;
};

/** Something that happened to a VM. */
export type MachineEvent = {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
};

/** How a machine ended. */
export type MachineEnd = {
  readonly crashed: boolean;
  /** One sentence. */
  readonly reason: string;
  /** Register dump or the like, several lines. */
  readonly detail: string | null;
  /** Debug-exit port. */
  readonly exitCode: number | null;
};
