import type { TerminalSize } from '../../devices/backends/char.ts';
import type { DiskLimits, DiskOptions, ImageFormat } from '../../devices/backends/disk.ts';
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

/**
 * The version of these messages. A manager compares it first with that of a machine started by another version of
 * vring.
 */
export const PROTOCOL = 2;

/** Messages from a manager to a machine. Input of ports travels in separate frames (frames.ts). */
export type ToMachine =
  /**
   * Builds the machine. fds come with it: the memfd of the counters, zeroed; for one that outlives its manager also the
   * socket to which later managers connect, and the lock of its name; or, for one that takes a machine over, the socket
   * to the process that has it, which passes the lock. For one that is restored, the files of its state and of its RAM
   * come right after the counters, and then those of its host devices, and of its networks.
   */
  | {
      readonly kind: 'build';
      readonly config: MachineConfig;
      /** Identifies the machine to later managers. */
      readonly token: string;
      /** For a process: the layers with which it was started, and a dedicated uid and gid, if any. */
      readonly layers: readonly Layer[];
      readonly user: { readonly uid: number; readonly gid: number } | null;
      /** It is taken over from the process that runs it. */
      readonly takeOver?: boolean;
      /** It continues from a snapshot; default: it boots. */
      readonly restore?: Restore;
      /** PCI devices of the host that it has from the start. */
      readonly hostDevices?: readonly GivenHostDevice[];
      /** The networks that it has from the start. */
      readonly wires?: readonly GivenWireFacts[];
    }
  | ({ readonly kind: 'command'; readonly id: number } & MachineCommand)
  /** The manager has logged something about this VM: the machine keeps it for a later manager. */
  | { readonly kind: 'note'; readonly event: MachineEvent }
  /** The manager knows how the machine ended, so the report is no longer needed. */
  | { readonly kind: 'collected' };

/** Each command's arguments and result. */
export type MachineCommands = {
  pause: { readonly arguments: Nothing; readonly result: null };
  resume: { readonly arguments: Nothing; readonly result: null };
  /** The reset button. */
  reset: { readonly arguments: Nothing; readonly result: null };
  /** The ACPI power button, which also wakes up a sleeping guest. */
  'power-button': { readonly arguments: Nothing; readonly result: { readonly noticed: boolean } };
  /** Wakes up a guest that sleeps in S3. */
  wake: { readonly arguments: Nothing; readonly result: null };
  /** The size of a disk's file has changed: notifies the guest. `file`: the resized one, a `fileIdentity`. */
  'resize-disk': {
    readonly arguments: { readonly device: string; readonly bytes: number; readonly file: string };
    readonly result: null;
  };
  /** Replaces the limits of a disk's rate. */
  'limit-disk': {
    readonly arguments: { readonly device: string; readonly limits: DiskLimits };
    readonly result: null;
  };
  /** Connects or disconnects the cable of a network card. */
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
   * The changes of a screen since `seen`. Replies once there are any, or after some seconds with null. `device` null:
   * the first that has a screen.
   */
  screen: {
    readonly arguments: { readonly device: string | null; readonly seen: ScreenSeen };
    readonly result: EncodedScreenUpdate | null;
  };
  /** Sets the preferred size of a screen's monitor, in pixels, which MONITOR_SIDE must allow. */
  'resize-screen': {
    readonly arguments: { readonly device: string | null; readonly width: number; readonly height: number };
    readonly result: ScreenResize;
  };
  /** Leaves the guest this many bytes of its memory: the balloon takes the rest. */
  'set-balloon': { readonly arguments: { readonly bytes: number }; readonly result: null };
  /**
   * Adds vCPUs until there are `count`, or has the guest release the last ones. Replies once it has taken up and released
   * all of them, which a guest may never do.
   */
  'set-vcpus': { readonly arguments: { readonly count: number }; readonly result: VcpusSet };
  /**
   * Keys and the pointer. The guest may not have consumed enough of the earlier ones for all `events`: `taken` is how
   * many it got, from the first.
   */
  input: {
    readonly arguments: { readonly events: readonly InputEvent[] };
    readonly result: { readonly taken: number };
  };
  /**
   * Inserts a medium into a drive, or ejects the present one (`disk` null). The fd of `disk` comes with it. If the
   * guest has locked the drive, it is asked to release it, and this fails unless `force` is given.
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
   * Plugs in a device. With it come the fds of `hostDevices`, as with `build`, then those of `disk`, then those of
   * `wire`, then that of `rom`. A failure leaves nothing behind.
   */
  plug: { readonly arguments: PlugArguments; readonly result: PluggedIn };
  /**
   * Asks the guest to release a device, or removes it without asking; replies once it is removed, which a guest may
   * never allow.
   */
  unplug: { readonly arguments: { readonly device: string; readonly force: boolean }; readonly result: null };
  /** Withdraws the request to release a device: the `unplug` commands that wait for it fail. */
  'cancel-unplug': { readonly arguments: { readonly device: string }; readonly result: null };
  /** Its disks, in a stable order. */
  disks: { readonly arguments: Nothing; readonly result: readonly DiskLabel[] };
  /**
   * Writes a snapshot; replies once it is complete. The fds of the state, of the RAM and of its checksums come with it,
   * and for each of `disks` those of its copy and of the copy's checksums.
   */
  snapshot: { readonly arguments: SnapshotArguments; readonly result: WrittenSnapshot };
  /** What another host needs to know to judge whether it can run the machine. */
  'migration-facts': { readonly arguments: Nothing; readonly result: MigrationFacts };
  /**
   * Sends the machine to another host over the socket that comes with it. Replies once all of it has been sent: the
   * machine is then stopped, and has released its files, until `end-migration`.
   */
  migrate: { readonly arguments: MigrateArguments; readonly result: SentMachine };
  /** The other host is about to get it: the machine stays stopped, with the reason, even without a manager. */
  'commit-migration': { readonly arguments: { readonly reason: string }; readonly result: null };
  /** Gives the migration up: the machine continues here. */
  'end-migration': { readonly arguments: Nothing; readonly result: null };
  /** The machine has come from another host, which has given it up: it runs from here on. */
  arrive: { readonly arguments: Nothing; readonly result: null };
  /** Gives the snapshot up, or lets a machine continue that is stopped after one. */
  'end-snapshot': { readonly arguments: Nothing; readonly result: null };
  /**
   * Lets later managers connect to another socket, which comes with it, and is listening: the file of the one before is
   * gone. With `lock`, so does another lock of the VM's name.
   */
  listen: { readonly arguments: { readonly lock: boolean }; readonly result: null };
  /** Only asks for a reply, which a blocked machine does not send. */
  ping: { readonly arguments: Nothing; readonly result: null };
  /**
   * Hands the machine to the process at the other end of the socket that comes with it. The reply reports a failure;
   * success is reported by `handed-over`.
   */
  'hand-over': { readonly arguments: Nothing; readonly result: null };
  /** Sets the size of the terminal at a console. */
  'resize-console': {
    readonly arguments: { readonly port: number } & TerminalSize;
    readonly result: null;
  };
  /** Ends the machine. */
  stop: { readonly arguments: { readonly reason: string }; readonly result: null };
};

/** `update`: in the format of screen-update.ts, in base64. */
export type EncodedScreenUpdate = { readonly seen: ScreenSeen; readonly update: string };

/** The network of the device with this name, without its fds. */
export type GivenWireFacts = { readonly device: string; readonly wire: WireFacts };

/** An open disk, without its fds. Facts about other formats are absent from versions that only know raw images. */
export type DiskFacts = Omit<OpenDisk, 'fd' | 'backing' | 'imageFormat'> & {
  readonly imageFormat?: ImageFormat | undefined;
  readonly backing?: readonly Omit<BackingFile, 'fd'>[] | undefined;
};

export function diskFacts({ fd: _, backing, ...facts }: OpenDisk): DiskFacts {
  return { ...facts, backing: backing.map(({ path, format }) => ({ path, format })) };
}

/** Number of fds of an open disk. */
export function fdCount({ backing = [] }: DiskFacts): number {
  return 1 + backing.length;
}

/** @param fds of the disk, in the order of `fdsOf` */
export function diskOfFacts(
  { backing = [], imageFormat = 'raw', ...facts }: DiskFacts,
  fds: readonly number[],
): OpenDisk {
  const files = backing.map((file, index) => ({ ...file, fd: fds[1 + index]! }));
  return { ...facts, imageFormat, backing: files, fd: fds[0]! };
}

export type PlugArguments = {
  /** Checked, except for the options of a device module's type. Without `bus` and `addr` the machine places it. */
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
  /** Whether the guest has a driver that examines it now; otherwise it finds the device the next time it scans. */
  readonly noticed: boolean;
};

export type VcpusSet = {
  /** How many are present. */
  readonly vcpus: number;
  /** Whether the guest has a driver that acts on it now; otherwise it may do so later, or at its next start. */
  readonly noticed: boolean;
};

/** Bytes. */
export type DiskLabel = {
  readonly path: string;
  readonly readonly: boolean;
  readonly isBlockDevice: boolean;
  readonly size: number;
  /** The guest's writes are in no named file. */
  readonly transient?: boolean;
};

export type SnapshotArguments = {
  /** The disks to copy, by their index in the list of all. */
  readonly disks: readonly number[];
  /** Whether the machine should stay stopped afterwards, until `end-snapshot`, or until its manager is gone. */
  readonly hold: boolean;
};

/** A disk's own file, and its backing files, from the top of the chain down; default: none. */
type SavedFiles = {
  readonly identity: FileIdentity;
  readonly backing?: readonly { readonly path: string; readonly identity: FileIdentity }[];
};

/** What a machine has written about itself. Bytes. */
export type WrittenSnapshot = {
  readonly stateBytes: number;
  /** In all files. */
  readonly written: number;
  readonly cpu: CpuFeatures;
  /** Its devices, as in the state. Absent from a machine of a version without hot plug. */
  readonly places?: MachinePlaces;
  /** All disks, as the snapshot found them. */
  readonly disks: readonly (DiskLabel & SavedFiles)[];
  /** Whether each copied disk's copy shares its blocks, and so has no checksums. */
  readonly cloned: readonly boolean[];
};

/** All disks have their files as they are now. */
export type MigrationFacts = Pick<WrittenSnapshot, 'cpu' | 'disks'> & {
  readonly places: MachinePlaces;
  readonly tscKhz: number;
};

export type MigrateArguments = {
  /** How long the guest may stand still, in milliseconds. */
  readonly maxDowntimeMs: number;
  /** The most bytes per second to send while the guest runs; null for no limit. */
  readonly bandwidth: number | null;
  /** After how long to give up, or to stop the guest anyway; null for never. */
  readonly timeoutMs: number | null;
  readonly thenPause: boolean;
};

export type SentMachine = {
  readonly places: MachinePlaces;
  readonly stateBytes: number;
  readonly rounds: number;
  /** Bytes. */
  readonly sent: number;
  /** Since it was asked to stop. */
  readonly stoppedForMs: number;
};

/** How far the sending of a machine is. */
export type MigrationProgress = {
  /** From 1: all memory; then what was written in the meantime. */
  readonly round: number;
  /** Bytes that are still to be sent in this round. */
  readonly left: number;
  readonly bytesPerSecond?: number | undefined;
  readonly dirtyBytesPerSecond?: number | undefined;
  /** How long the guest would stand still if it were stopped after this round. */
  readonly downtimeMs?: number | undefined;
  /** The guest writes memory faster than it can be sent. */
  readonly isFutile?: boolean | undefined;
  /** The guest is stopped for the rest. */
  readonly isStopped?: boolean | undefined;
};

/** Of a snapshot or a migration. Bytes. */
export type SnapshotProgress = {
  readonly done: number;
  /** 0 while it waits for the machine to stop. */
  readonly total: number;
  readonly written: number;
  /** Devices whose back ends have not finished their requests. */
  readonly waitingFor: readonly string[];
  readonly migration?: MigrationProgress | undefined;
};

export type Restore = {
  /** Whether the machine should be paused. */
  readonly paused: boolean;
  /** It comes from another host: its RAM is in a memfd that is its own, and it waits for `arrive`. */
  readonly arrives?: boolean;
};

/**
 * The files that a manager opens for a host device: `/dev/vfio/vfio`, `/dev/iommu`, `/dev/vfio/GROUP` and
 * `/dev/vfio/devices/vfioN`.
 */
export type HostDeviceFd = 'container' | 'iommufd' | 'group' | 'device';

/** A PCI device of the host that a manager has opened for a machine. */
export type GivenHostDevice = {
  /** `0000:01:10.0` */
  readonly address: string;
  readonly api: 'group' | 'iommufd';
  /** The number of its IOMMU group. */
  readonly group: number;
  /** How the host resets it, as in sysfs (`reset_method`). */
  readonly resetMethods: readonly string[];
  /** There is no IOMMU between the device and the host's memory (VFIO_NOIOMMU_IOMMU). */
  readonly noIommu: boolean;
  /** The UUID that VFIO requires if it also has the physical function. */
  readonly vfToken?: string;
  /**
   * The fds that come for it, in this order. A machine has one container or iommufd, which comes with the first of its
   * devices that uses it, and one fd per group, with the group's first device.
   */
  readonly fds: readonly HostDeviceFd[];
};

export type CommandName = keyof MachineCommands;
type Nothing = Readonly<Record<string, never>>;

export type MachineCommand = {
  [Name in CommandName]: { readonly command: Name; readonly arguments: MachineCommands[Name]['arguments'] };
}[CommandName];

/** Messages from a machine to its manager. The guest's output travels in separate frames. */
export type FromMachine =
  /**
   * The first message to a manager that has connected to a running machine; its fd is that of the counters. The rest of
   * the report follows.
   */
  | ({ readonly kind: 'hello' } & MachineIdentity)
  /** For a manager in the same process: the native VM, which owns every thread, fd and mapping. */
  | { readonly kind: 'created'; readonly vm: number }
  | { readonly kind: 'topology'; readonly topology: Topology }
  /** The outcome of each layer of its process's confinement. */
  | { readonly kind: 'confinement'; readonly layers: readonly Layer[] }
  | { readonly kind: 'state'; readonly state: RunState; readonly reason?: string | undefined }
  /** Devices that stopped serving their driver, each with the reason; the machine keeps running. */
  | { readonly kind: 'broken'; readonly broken: Readonly<Record<string, string>> }
  /** Devices whose requests the host's disk has failed in the last minute or two, each with the latest failure. */
  | { readonly kind: 'disk-errors'; readonly diskErrors: Readonly<Record<string, string>> }
  /** The progress of the snapshot or migration; null if there is none. */
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
  /** The last message of a process whose machine continues in another one. */
  | { readonly kind: 'handed-over' }
  /** The machine of another process continues in this one. */
  | ({ readonly kind: 'taken-over' } & TakenOver)
  /** It has stopped, and is being torn down. */
  | { readonly kind: 'ending'; readonly end: MachineEnd }
  /** The last message: everything the VM held has been released. */
  | { readonly kind: 'ended'; readonly end: MachineEnd };

/** `suspended`: the guest sleeps in ACPI S3. */
export type RunState = 'starting' | 'running' | 'paused' | 'suspended';

/** How a machine was handed over. */
export type TakenOver = {
  /** The version of vring that ran it. */
  readonly from: string;
  /** From the request to stop until it continued. */
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
