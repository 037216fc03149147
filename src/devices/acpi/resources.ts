import { type Aml, buffer, concat, little } from './aml.ts';

/**
 * Resource descriptors (ACPI 6.5 §6.4): the entries of a `_CRS`. Ranges are `size` bytes (or ports, or buses) from
 * `start`.
 */
export type Resource = Uint8Array;

const SMALL = { irq: 0x22, dma: 0x2a, io: 0x47, end: 0x79 } as const;
const LARGE = { memory32Fixed: 0x86, dword: 0x87, word: 0x88, qword: 0x8a } as const;
const TYPE = { memory: 0, io: 1, bus: 2 } as const;

/** The range's ends are fixed, and the device passes it on to its children. */
const PRODUCED = 0b1100;
const READ_WRITE = 1;
const ENTIRE_RANGE = 3;
const DECODE_16 = 1;

export function resourceTemplate(...resources: Resource[]): Aml {
  return buffer(concat(...resources, [SMALL.end, 0]));
}

/** Fixed ports that a device responds to. */
export function ports(start: number, size: number): Resource {
  return concat([SMALL.io, DECODE_16], little(start, 2), little(start, 2), [1, size]);
}

/** An ISA interrupt: edge triggered, active high. */
export function isaInterrupt(irq: number): Resource {
  return concat([SMALL.irq], little(1 << irq, 2));
}

/** A channel of the ISA DMA controllers: compatible, transfers of 8 bits. */
export function isaDmaChannel(channel: number): Resource {
  return concat([SMALL.dma, 1 << channel, 0]);
}

/** Fixed memory below 4 GiB. */
export function memory32(start: number, size: number): Resource {
  return concat([LARGE.memory32Fixed], little(9, 2), [READ_WRITE], little(start, 4), little(size, 4));
}

export function busWindow(start: number, size: number): Resource {
  return window(LARGE.word, 2, TYPE.bus, 0, start, size);
}

export function portWindow(start: number, size: number): Resource {
  return window(LARGE.word, 2, TYPE.io, ENTIRE_RANGE, start, size);
}

export function memoryWindow32(start: number, size: number): Resource {
  return window(LARGE.dword, 4, TYPE.memory, READ_WRITE, start, size);
}

export function memoryWindow64(start: number, size: number): Resource {
  return window(LARGE.qword, 8, TYPE.memory, READ_WRITE, start, size);
}

/** An address space descriptor (§6.4.3.5): granularity, minimum, maximum, translation, length. */
function window(
  tag: number,
  width: number,
  type: number,
  flags: number,
  start: number,
  size: number,
): Resource {
  const fields = [0, start, start + size - 1, 0, size].map(value => little(value, width));
  return concat([tag], little(3 + 5 * width, 2), [type, PRODUCED, flags], ...fields);
}
