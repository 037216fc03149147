import type { MachineConfig } from './config.ts';
import type { Topology } from './topology.ts';

/** What the main thread tells a machine thread. After posting one it rings the VM's doorbell. */
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

/** What a machine thread tells the main thread. */
export type FromMachine =
  /** The native VM that owns every thread, fd and mapping: destroying it cleans up after a dead machine thread. */
  | { readonly kind: 'created'; readonly vm: number }
  | { readonly kind: 'built'; readonly topology: Topology }
  | { readonly kind: 'state'; readonly state: 'running' | 'paused' }
  | { readonly kind: 'console'; readonly bytes: Uint8Array }
  /** The guest has taken so many of the bytes that were sent as `input`. */
  | { readonly kind: 'input-taken'; readonly bytes: number }
  /** A device has stopped serving its driver, which broke the rules; the machine goes on. */
  | { readonly kind: 'broken'; readonly device: string; readonly reason: string }
  | { readonly kind: 'reply'; readonly id: number; readonly error: string | null }
  /** The last message: everything the VM held is released. */
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
