import type {
  Cancel,
  CharBackend,
  Clock,
  EventLoop,
  InterruptLine,
  MsiVector,
  RequestMachine,
} from './device.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { BlockBackend } from './virtio/block-backend.ts';
import type { QueueCounters } from './virtio/queue-counters.ts';

/** What a machine offers its devices. Use it only on the machine thread. */
export interface MachineServices {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly events: EventLoop;
  readonly request: RequestMachine;
  /** Reports to the user why device `name` stopped serving its driver. The machine keeps running. */
  reportBroken(name: string, reason: string): void;
  /** Reports to the user that the host's disk fails requests of device `name`; null: no longer. */
  reportDiskErrors(name: string, text: string | null): void;
  /** Eventfds, which are closed with the machine at the latest. */
  readonly eventFds: { create(): number; signal(fd: number): void; close(fd: number): void };
  /** Makes a guest write of any size to guest-physical `address` signal `fd` in the kernel (KVM_IOEVENTFD). */
  attachDoorbell(address: number, fd: number): Cancel;
  allocateMsi(): MsiVector;
  /** The wire of ISA interrupt `irq` 0-15, or of IOAPIC pin 16-23 for PCI INTx. */
  interruptLine(gsi: number): InterruptLine;
  /** Counters of a new virtqueue, labeled for the screens; slots are assigned in call order. */
  allocateQueueCounters(label: { device: string; type: string; queue: string; size: number }): QueueCounters;
  /** Opens and locks a disk's image or device. @throws an error for the user */
  openDisk(options: DiskOptions): BlockBackend;
  /** The user's end of serial port `index`. */
  serialBackend(index: number): CharBackend;
}

export type DiskOptions = {
  readonly path: string;
  /** Absent if the user hasn't set it: then the content is probed, and only opened if it looks raw. */
  readonly format?: 'raw' | undefined;
  readonly readonly: boolean;
  readonly cache: DiskCache;
};

/**
 * As in QEMU: `writeback` uses the host's page cache, which a flush writes out; `none` bypasses it if possible (O_DIRECT).
 */
export type DiskCache = 'writeback' | 'none';
