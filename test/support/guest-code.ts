/** x86 instructions of 32-bit and 64-bit mode, with little-endian operands, for guests of a few bytes. */
export const u32 = (value: number) => [...new Uint8Array(new Uint32Array([value]).buffer)];
export const movEax = (value: number) => [0xb8, ...u32(value)];
export const movAl = (value: number) => [0xb0, value];
export const outAl = (port: number) => [0xe6, port];
export const outEax = (port: number) => [0xe7, port];
export const inAl = (port: number) => [0xe4, port];
/** Not for 64-bit mode, where the address has 8 bytes. */
export const storeEax = (address: number) => [0xa3, ...u32(address)];
export const loadEax = (address: number) => [0xa1, ...u32(address)];
/** Jumps to an absolute address, through a register. */
export const jumpTo = (address: number) => [0xb9, ...u32(address), 0xff, 0xe1];
