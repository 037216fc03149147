import type { Backends } from './backends/backends.ts';
import type { BootKind } from './boot-device.ts';
import type { Cancel, Clock, EventLoop, InterruptLine, MsiVector, RequestMachine } from './device.ts';
import type { OwnMemory } from './device-memory.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { ScsiHost } from './scsi/scsi-host.ts';
import type { Statistic, StatisticName } from './statistic.ts';
import type { HostDevices } from './vfio/host-device.ts';
import type { PageDiscards } from './virtio/balloon/page-discards.ts';
import type { EntropySource } from './virtio/entropy-source.ts';
import type { QueueCounters, QueueName } from './virtio/queue-counters.ts';

/** S3, suspend to RAM, and S4, in which the guest has saved its memory to a disk and the machine is off. */
export type SleepStates = { readonly s3: boolean; readonly s4: boolean };

/** What a machine offers its devices. Use it only on the machine thread. */
export interface MachineServices {
  readonly memory: GuestMemory;
  /**
   * Memory that the guest reaches directly once the device maps it, and that it cannot write if `kind` is `rom`.
   * Zeroed.
   * @param name unique within the machine: `vga0 memory`. @param size a multiple of 4096
   */
  allocateMemory(name: string, size: number, kind: 'device' | 'rom'): OwnMemory;
  readonly clock: Clock;
  /** The real-time clock's initial time, minus the host's time in UTC, in milliseconds. */
  readonly clockOffsetMs: number;
  /** The ACPI sleep states that the guest may enter, besides soft off. */
  readonly sleepStates: SleepStates;
  readonly events: EventLoop;
  readonly request: RequestMachine;
  /** Reports to the user why device `name` stopped serving its driver. The machine keeps running. */
  reportBroken(name: string, reason: string): void;
  /** Warns the user about something that stops neither the device nor the machine. */
  warn(text: string): void;
  /** Reports to the user that the host's disk fails requests of device `name`; null clears the report. */
  reportDiskErrors(name: string, text: string | null): void;
  /** Pauses the machine because the host fails requests of device `name`, which are retried when it continues. */
  pauseForDisk(name: string, reason: string): void;
  /**
   * The host wants a resource of device `name` back: the guest is asked to release the device. @param reason a few
   * words, for the user
   */
  requestUnplug(name: string, reason: string): void;
  /** Eventfds, which are closed no later than the machine. */
  readonly eventFds: { create(): number; signal(fd: number): void; close(fd: number): void };
  /** Makes a guest write of any size to guest-physical `address` signal `fd` in the kernel (KVM_IOEVENTFD). */
  attachDoorbell(address: number, fd: number): Cancel;
  allocateMsi(): MsiVector;
  /** The wire of ISA interrupt `irq` 0-15, or of IOAPIC pin 16-23 for PCI INTx. */
  interruptLine(gsi: number): InterruptLine;
  /** Gives the 8254's interrupt to another timer, or returns it. */
  replacePit(isReplaced: boolean): void;
  /** Counters of a new virtqueue, labeled for the screens. */
  allocateQueueCounters(name: QueueName): QueueCounters;
  /** A named counter, which screens, `vm stats` and metrics show. */
  statistic(name: StatisticName): Statistic;
  /** What the machine's firmware should boot from; null if it has no firmware. */
  readonly firmware: { readonly kind: 'bios' | 'uefi'; readonly bootsFrom: readonly BootKind[] } | null;
  readonly entropy: EntropySource;
  readonly scsi: ScsiHost;
  readonly discards: PageDiscards;
  /** What the devices are connected to on the host. */
  readonly backends: Backends;
  /**
   * Reads a whole file of the host, before the machine is confined. @param limit bytes @throws an error for the user
   */
  readFile(path: string, limit: number): Uint8Array;
  /** The PCI devices of the host that are assigned to this machine. */
  readonly hostDevices: HostDevices;
}
