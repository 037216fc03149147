import type { ReceiveSideScaling } from '../../../../devices/backends/net.ts';
import * as libc from '../../../native/libc.ts';
import { createMap, loadProgram, PROGRAM_TYPE } from './bpf-calls.ts';
import { steeringProgram } from './steering-program.ts';
import { STEERING_TABLE, writeSteering } from './steering-table.ts';

/** From linux/if_tun.h. */
const TUNSETSTEERINGEBPF = 0x8004_54e0;
const NO_PROGRAM = -1;
const NAME = 'vring_rss';

/** Fds of a steering program, and of the table that it reads. */
export type SteeringFds = { readonly program: number; readonly table: number };

/**
 * Loads a program that spreads frames over a TAP interface's queues. It runs once a driver wants that; one left behind
 * by a killed process is removed.
 * @param tap an fd of the interface @returns null if the kernel does not let this process load programs
 */
export function openSteering(tap: number): SteeringFds | null {
  attach(tap, NO_PROGRAM);
  let table: number | null = null;
  try {
    table = createMap(NAME, STEERING_TABLE.bytes);
    return { table, program: loadProgram(NAME, PROGRAM_TYPE.socketFilter, steeringProgram(table)) };
  } catch (error) {
    if (table !== null) libc.close(table);
    if (error instanceof libc.SystemError) return null;
    throw error;
  }
}

/** Receive-side scaling of a TAP interface with several queues, by the program that was opened with it. */
export class TapSteering {
  readonly #tap: number;
  readonly #program: number;
  readonly #address: bigint;
  readonly #table: ArrayBuffer;
  #isOn = false;

  /** @param tap an fd of the interface; the caller keeps it and the others. @throws SystemError */
  constructor(tap: number, { program, table }: SteeringFds) {
    this.#tap = tap;
    this.#program = program;
    this.#address = libc.mmap(STEERING_TABLE.bytes, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, table);
    this.#table = libc.viewOf(this.#address, STEERING_TABLE.bytes);
  }

  /** Spreads frames by the driver's settings; null: by the kernel's default. @returns whether the kernel does */
  set(scaling: ReceiveSideScaling | null): boolean {
    if (scaling === null) {
      if (this.#isOn) attach(this.#tap, NO_PROGRAM);
      this.#isOn = false;
      return true;
    }
    writeSteering(this.#table, scaling);
    this.#isOn = this.#isOn || attach(this.#tap, this.#program);
    return this.#isOn;
  }

  close(): void {
    this.set(null);
    libc.munmap(this.#address, STEERING_TABLE.bytes);
  }
}

function attach(tap: number, program: number): boolean {
  return libc.tryIoctl(tap, TUNSETSTEERINGEBPF, new Uint8Array(Int32Array.of(program).buffer)) >= 0;
}
