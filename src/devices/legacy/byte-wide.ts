import type { AccessSize, IoHandler } from '../device.ts';

/** Registers of 8 bits. */
export interface ByteRegisters {
  readByte(offset: number): number;
  writeByte(offset: number, value: number): void;
}

/** Splits wider accesses into bytes, lowest address first, like the ISA bus. */
export function byteWide(registers: ByteRegisters): IoHandler {
  return {
    read: (offset: number, size: AccessSize): number => {
      let value = registers.readByte(offset);
      for (let i = 1; i < size; i++) value |= registers.readByte(offset + i) << (8 * i);
      return value >>> 0;
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      for (let i = 0; i < size; i++) registers.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };
}
