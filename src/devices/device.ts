/** The size of one guest access in bytes. 8-byte accesses reach a model as two of 4, low half first. */
export type AccessSize = 1 | 2 | 4;

/** Handles guest accesses to a range of ports or memory. */
export interface IoHandler {
  /** Returns the value of `size` bytes at `offset` from the range's start, little endian, as an unsigned number. */
  read(offset: number, size: AccessSize): number;
  /** Writes `value` (unsigned, `size` bytes) at `offset` from the range's start. */
  write(offset: number, size: AccessSize, value: number): void;
  /**
   * The reads of a string instruction, all at `offset` and of `size` bytes: fills `bytes` with their values. Default:
   * handled as single reads.
   */
  readString?(offset: number, size: AccessSize, bytes: Uint8Array): void;
  writeString?(offset: number, size: AccessSize, bytes: Uint8Array): void;
}

/** A device's state as plain data, for snapshots, migration and tests. */
export type DeviceState = { [key: string]: StateValue };
export type StateValue = string | number | bigint | boolean | null | Uint8Array | StateValue[] | DeviceState;

/** A device model. It doesn't depend on KVM: what it needs from the machine comes through its constructor. */
export interface Device {
  /** Unique within the machine, as the UI shows it: `com1`, `blk0`. */
  readonly name: string;
  /**
   * Puts the device into its power-on state; only while it is quiesced, or before the machine first runs. Back ends,
   * file descriptors and plugged devices stay.
   */
  reset(): void;
  /** The same when the machine wakes from S3, for a device that keeps state on auxiliary power. Default: `reset`. */
  resetFromSleep?(): void;
  /**
   * Stops the device's own activity: queues, timers. Never blocks the machine thread. Calls `done` once nothing of the
   * device runs any more, possibly before it returns; late or never while a back end does not respond. Absent for a
   * device that only acts when accessed.
   */
  quiesce?(done: () => void): void;
  /** Continues after `quiesce` or `load`. If called before `done`, it cancels the quiesce, and `done` is not called. */
  resume?(): void;
  /** The whole state, only while quiesced. */
  save(): DeviceState;
  /**
   * Takes over a state saved by this device or another of the same configuration, and leaves the device quiesced. The
   * state is checked like a hostile guest's input. @throws DeviceStateError
   */
  load(state: DeviceState): void;
  /** Called when the machine ends: releases what the device opened or claimed. */
  close?(): void;
}

/**
 * One device's end of an interrupt wire (an IOAPIC/PIC pin, or a PCI INTx pin), which it may share with others: the
 * wire is asserted while any end asserts it.
 */
export interface InterruptLine {
  set(level: boolean): void;
  /**
   * From now on a signal of eventfd `fd` asserts the wire, inside the kernel if possible. With `resampleFd` it stays
   * asserted until the guest ends the interrupt (EOI); then `resampleFd` is signaled, and every device that still has a
   * reason signals `fd` again: a level-triggered interrupt (KVM_IRQFD_FLAG_RESAMPLE). Without it, the wire is
   * deasserted immediately: an edge.
   */
  connect(fd: number, resampleFd?: number): void;
  /** Later signals of `fd` stay in its count. */
  disconnect(fd: number): void;
  /** Deasserts this end, and disconnects its eventfds. */
  release(): void;
}

/** A source of MSI or MSI-X messages: one vector of one function. */
export interface MsiVector {
  /**
   * The message the vector sends, or null while it is masked or MSI-X is off. Signals that arrive while it is
   * null are kept as `pending` and sent by the next non-null `configure` (PCI Local Bus 3.0 §6.8.2.9).
   */
  configure(message: MsiMessage | null): void;
  readonly pending: boolean;
  /** Drops a pending signal (a device reset). */
  clearPending(): void;
  /** Sends the message now. */
  signal(): void;
  /** From now on every signal of eventfd `fd` sends the message, inside the kernel if possible. */
  connect(fd: number): void;
  disconnect(fd: number): void;
  /** Disconnects everything and frees the vector's resources. It must not be used after that. */
  release(): void;
}

export type MsiMessage = { readonly address: bigint; readonly data: number };

/** The clocks of one machine. Times are nanoseconds of the host's monotonic clock. */
export interface Clock {
  now(): bigint;
  /** Calls `callback` once, at or soon after `deadline`. */
  at(deadline: bigint, callback: () => void): Cancel;
  /** Host wall-clock time, in milliseconds since 1970. */
  wallMs(): number;
}

/** May be called more than once. */
export type Cancel = () => void;

/** Calls back on the machine thread when an eventfd is signaled, after draining it, with its count. */
export interface EventLoop {
  watch(fd: number, onSignal: (count: number) => void): Cancel;
  /**
   * Calls back once, after the current event: after the answer to an exit, but before the guest that exited continues,
   * if this thread runs it.
   */
  soon(callback: () => void): void;
}

/** What a device may request from its machine, which acts after answering the current access. */
export type MachineRequest =
  /** `reason` is for the user; without it, the guest powered off itself. */
  | { readonly kind: 'power-off'; readonly reason?: string }
  | { readonly kind: 'reset'; readonly reason?: string }
  /** The machine stops until its user continues it. */
  | { readonly kind: 'pause'; readonly reason: string }
  /** The guest is asked to power off. */
  | { readonly kind: 'power-button' }
  /** The guest sleeps in S3, suspend to RAM, until something wakes it up. */
  | { readonly kind: 'sleep' }
  /** Wakes a sleeping guest; otherwise has no effect. */
  | { readonly kind: 'wake'; readonly by: WakeSource }
  /** The guest exited with a code (debug-exit port). */
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'crash'; readonly reason: string };

/**
 * What wakes a sleeping guest. `user`: a command, a button or a key; `network`: a power management event (PME#) of a
 * card.
 */
export type WakeSource = 'user' | 'rtc' | 'network';

export type RequestMachine = (request: MachineRequest) => void;
