import type { MachineConfig } from './config.ts';
import type { Topology } from './topology.ts';

/** Messages from the main thread to a machine thread. After posting one, ring the VM's doorbell. */
export type ToMachine =
  | {
      readonly kind: 'build';
      readonly config: MachineConfig;
      /** The VM's counters, zeroed (vmm/counters.ts). */
      readonly counters: BigUint64Array<SharedArrayBuffer>;
    }
  | { readonly kind: 'command'; readonly id: number; readonly command: MachineCommand }
  | { readonly kind: 'input'; readonly bytes: Uint8Array };

export type MachineCommand = 'pause' | 'resume' | 'reset' | 'power-button' | 'stop';

/** Messages from a machine thread to the main thread. */
export type FromMachine =
  /** The native VM, which owns every thread, fd and mapping: destroying it cleans up after a dead machine thread. */
  | { readonly kind: 'created'; readonly vm: number }
  | { readonly kind: 'built'; readonly topology: Topology }
  | { readonly kind: 'state'; readonly state: 'running' | 'paused' }
  | { readonly kind: 'console'; readonly bytes: Uint8Array }
  /** How many bytes of `input` the guest has consumed. */
  | { readonly kind: 'input-taken'; readonly bytes: number }
  /** A device has stopped because its driver violated the protocol; the machine keeps running. */
  | { readonly kind: 'broken'; readonly device: string; readonly reason: string }
  | { readonly kind: 'reply'; readonly id: number; readonly error: string | null }
  /** The last message: everything the VM held has been released. */
  | { readonly kind: 'ended'; readonly end: MachineEnd };

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
