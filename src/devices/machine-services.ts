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

/** What a machine offers to the devices that are built into it. Everything here is on the machine thread. */
export interface MachineServices {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly events: EventLoop;
  readonly request: RequestMachine;
  /** For the user: why device `name` stopped serving its driver. The machine goes on. */
  reportBroken(name: string, reason: string): void;
  /** Eventfds, which close with the machine at the latest. */
  readonly eventFds: { create(): number; signal(fd: number): void; close(fd: number): void };
  /** Makes a guest write of any size to guest-physical `address` signal `fd` in the kernel (KVM_IOEVENTFD). */
  attachDoorbell(address: number, fd: number): Cancel;
  allocateMsi(): MsiVector;
  /** The wire of ISA interrupt `irq` 0-15, or of IOAPIC pin 16-23 for PCI INTx. */
  interruptLine(gsi: number): InterruptLine;
  /** Counters of a new virtqueue, labeled for the screens; slots are handed out in the order of the calls. */
  allocateQueueCounters(label: { device: string; type: string; queue: string; size: number }): QueueCounters;
  /** Opens (and locks) what backs a disk. @throws with a sentence for the user. */
  openDisk(options: DiskOptions): BlockBackend;
  /** The user's end of serial port `index`. */
  serialBackend(index: number): CharBackend;
}

export type DiskOptions = {
  readonly path: string;
  /** Absent when the user has not said what is in it: it is looked at, and only opened when it looks raw. */
  readonly format?: 'raw' | undefined;
  readonly readonly: boolean;
  readonly cache: DiskCache;
};

/**
 * As QEMU has it: `writeback` goes through the host's page cache, which a flush writes out; `none` goes past it, where the
 * store can do that (O_DIRECT).
 */
export type DiskCache = 'writeback' | 'none';
