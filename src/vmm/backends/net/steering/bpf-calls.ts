import { constants } from 'node:os';
import { argumentMemory } from '../../../native/argument-memory.ts';
import { bpf, SystemError } from '../../../native/libc.ts';

/** Commands, types and flags of bpf(2) (linux/bpf.h). */
const BPF_MAP_CREATE = 0;
const BPF_PROG_LOAD = 5;
const BPF_MAP_TYPE_ARRAY = 2;
const BPF_F_MMAPABLE = 1 << 10;
export const PROGRAM_TYPE = { socketFilter: 1, trafficControl: 3 } as const;

/** The part of union bpf_attr used here: up to the name of a map, and of a program. */
const MAP_ATTRIBUTE = {
  bytes: 44,
  type: 0,
  keySize: 4,
  valueSize: 8,
  entries: 12,
  flags: 16,
  name: 28,
} as const;
const PROGRAM_ATTRIBUTE = { bytes: 64, type: 0, count: 4, code: 8, license: 16, name: 48 } as const;
const NAME_BYTES = 16;
const KEY_BYTES = 4;

/** Offsets in the argument page of the data to which a program's attribute points. */
const LICENSE_AT = 128;
const CODE_AT = 256;
/** Allows the program to call all helper functions. */
const LICENSE = 'GPL\0';
const INSTRUCTION_BYTES = 8;
const ATTEMPTS = 5;

/** Creates an array map with one value, which can be mapped. @returns its fd. @throws SystemError */
export function createMap(name: string, valueBytes: number): number {
  const { address, view, bytes } = argumentMemory();
  const { bytes: size, type, keySize, valueSize, entries, flags, name: nameAt } = MAP_ATTRIBUTE;
  bytes.fill(0, 0, size);
  view.setUint32(type, BPF_MAP_TYPE_ARRAY, true);
  view.setUint32(keySize, KEY_BYTES, true);
  view.setUint32(valueSize, valueBytes, true);
  view.setUint32(entries, 1, true);
  view.setUint32(flags, BPF_F_MMAPABLE, true);
  writeName(bytes, nameAt, name);
  return bpf('BPF_MAP_CREATE', BPF_MAP_CREATE, address, size);
}

/** Loads a program. @returns its fd. @throws SystemError, with EINVAL or EACCES if the kernel's verifier refuses it */
export function loadProgram(name: string, programType: number, code: Uint8Array): number {
  const { address, view, bytes } = argumentMemory();
  const { bytes: size, type, count, code: codeAt, license, name: nameAt } = PROGRAM_ATTRIBUTE;
  if (CODE_AT + code.length > bytes.length)
    throw new Error(`program ${name} has ${code.length} bytes: too many`);
  bytes.fill(0, 0, size);
  bytes.set(new TextEncoder().encode(LICENSE), LICENSE_AT);
  bytes.set(code, CODE_AT);
  view.setUint32(type, programType, true);
  view.setUint32(count, code.length / INSTRUCTION_BYTES, true);
  view.setBigUint64(codeAt, address + BigInt(CODE_AT), true);
  view.setBigUint64(license, address + BigInt(LICENSE_AT), true);
  writeName(bytes, nameAt, name);
  for (let attempt = 1; ; attempt++) {
    try {
      return bpf('BPF_PROG_LOAD', BPF_PROG_LOAD, address, size);
    } catch (error) {
      // The verifier gives up when a signal arrives.
      const isInterrupted = error instanceof SystemError && error.errno === constants.errno.EAGAIN;
      if (!isInterrupted || attempt === ATTEMPTS) throw error;
    }
  }
}

/** @param name letters, digits and `_` */
function writeName(bytes: Uint8Array, at: number, name: string): void {
  bytes.set(new TextEncoder().encode(name.slice(0, NAME_BYTES - 1)), at);
}
