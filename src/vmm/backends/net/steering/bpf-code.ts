/**
 * A register: r0 has results, r1 to r5 arguments, r6 to r9 keep their values across calls, r10 is the frame pointer.
 */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** Opcodes of 64-bit operations (RFC 9669 §4.1): with a constant, and with a register. */
const ALU = {
  add: [0x07, 0x0f],
  and: [0x57, 0x5f],
  shl: [0x67, 0x6f],
  xor: [0xa7, 0xaf],
  mov: [0xb7, 0xbf],
} as const;
/** Loads and stores of 2^n bytes (§5.2); stores of eight bytes only. */
const LOAD = { 1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79 } as const;
const STORE = { 4: 0x63, 8: 0x7b } as const;
const STORE_CONSTANT_8 = 0x7a;
const TO_BIG_ENDIAN = 0xdc;
/** Jumps (§4.3), with a constant to compare to. */
const JUMP = { always: 0x05, equal: 0x15, 'any bit': 0x45, 'not equal': 0x55 } as const;
const CALL = 0x85;
const EXIT = 0x95;
const LOAD_64 = 0x18;
/** The source register of LOAD_64: the address of the value of an array map with one element (linux/bpf.h). */
const MAP_VALUE = 2;

const INSTRUCTION_BYTES = 8;

/** Assembles an eBPF program (RFC 9669): instructions in order, with jumps forward and back to labels. */
export class BpfCode {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { readonly at: number; readonly to: string }[] = [];

  /** Names the next instruction. */
  label(name: string): void {
    this.#labels.set(name, this.#next);
  }

  alu(operation: keyof typeof ALU, to: Register, constant: number): void {
    this.#add(ALU[operation][0], to, 0, 0, constant);
  }

  aluRegister(operation: keyof typeof ALU, to: Register, from: Register): void {
    this.#add(ALU[operation][1], to, from, 0, 0);
  }

  load(size: keyof typeof LOAD, to: Register, base: Register, offset: number): void {
    this.#add(LOAD[size], to, base, offset, 0);
  }

  store(size: keyof typeof STORE, base: Register, offset: number, from: Register): void {
    this.#add(STORE[size], base, from, offset, 0);
  }

  /** Stores eight bytes of zeros. */
  clear(base: Register, offset: number): void {
    this.#add(STORE_CONSTANT_8, base, 0, offset, 0);
  }

  /** Converts 16 bits of a register from network byte order. */
  fromNetworkOrder16(register: Register): void {
    this.#add(TO_BIG_ENDIAN, register, 0, 0, 16);
  }

  /** The address of the value of an array map with one element. */
  loadMapValue(to: Register, mapFd: number): void {
    this.#add(LOAD_64, to, MAP_VALUE, 0, mapFd);
    this.#add(0, 0, 0, 0, 0);
  }

  jump(to: string): void {
    this.#jump('always', 0, 0, to);
  }

  jumpIf(
    condition: Exclude<keyof typeof JUMP, 'always'>,
    register: Register,
    constant: number,
    to: string,
  ): void {
    this.#jump(condition, register, constant, to);
  }

  /** Calls a helper function of the kernel by its number (linux/bpf.h). */
  call(helper: number): void {
    this.#add(CALL, 0, 0, 0, helper);
  }

  exit(): void {
    this.#add(EXIT, 0, 0, 0, 0);
  }

  /** The program. @throws Error if a jump goes to an undefined label */
  bytes(): Uint8Array {
    const bytes = Uint8Array.from(this.#bytes);
    const view = new DataView(bytes.buffer);
    for (const { at, to } of this.#jumps) {
      const target = this.#labels.get(to);
      if (target === undefined) throw new Error(`the program has no label "${to}"`);
      view.setInt16(at * INSTRUCTION_BYTES + 2, target - at - 1, true);
    }
    return bytes;
  }

  get #next(): number {
    return this.#bytes.length / INSTRUCTION_BYTES;
  }

  #jump(condition: keyof typeof JUMP, register: Register, constant: number, to: string): void {
    this.#jumps.push({ at: this.#next, to });
    this.#add(JUMP[condition], register, 0, 0, constant);
  }

  #add(opcode: number, to: number, from: number, offset: number, constant: number): void {
    const instruction = new DataView(new ArrayBuffer(INSTRUCTION_BYTES));
    instruction.setUint8(0, opcode);
    instruction.setUint8(1, to | (from << 4));
    instruction.setInt16(2, offset, true);
    instruction.setInt32(4, constant, true);
    this.#bytes.push(...new Uint8Array(instruction.buffer));
  }
}
