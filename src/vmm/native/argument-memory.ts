import { MAP_ANONYMOUS, MAP_PRIVATE, mmap, PROT_READ, PROT_WRITE, viewOf } from './libc.ts';

/** Memory for what an argument of a system call points to, one call at a time. */
export type ArgumentMemory = {
  readonly address: bigint;
  readonly view: DataView;
  readonly bytes: Uint8Array;
};

export const ARGUMENT_BYTES = 4096;

let memory: ArgumentMemory | null = null;

/** A page with a fixed address: V8 moves its own buffers. Each thread has one. */
export function argumentMemory(): ArgumentMemory {
  if (memory === null) {
    const address = mmap(ARGUMENT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    const buffer = viewOf(address, ARGUMENT_BYTES);
    memory = { address, view: new DataView(buffer), bytes: new Uint8Array(buffer) };
  }
  return memory;
}
