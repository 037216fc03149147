/** Minimal kernel images for the loaders' tests. */
import { checkInside, type ImageFile } from '../../../src/vmm/boot/image-file.ts';

export type SegmentSpec = {
  type?: number;
  physical?: number;
  virtual?: number;
  content?: Uint8Array;
  memorySize?: number | bigint;
  fileSize?: number | bigint;
  offset?: number | bigint;
};

export type ElfSpec = {
  bits?: 32 | 64;
  machine?: number;
  type?: number;
  entry?: number;
  segments: SegmentSpec[];
};

/** An ELF executable. Contents follow the headers, each on a 16-byte boundary. */
export function elfImage({
  bits = 64,
  machine = 62,
  type = 2,
  entry = 0x10_0000,
  segments,
}: ElfSpec): Buffer {
  const headerSize = bits === 64 ? 64 : 52;
  const entrySize = bits === 64 ? 56 : 32;
  const headers = Buffer.alloc(headerSize + segments.length * entrySize);
  headers.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, 1, 1]);
  headers.writeUInt16LE(type, 16);
  headers.writeUInt16LE(machine, 18);
  const word = (value: number | bigint, at: number) =>
    bits === 64 ? headers.writeBigUInt64LE(BigInt(value), at) : headers.writeUInt32LE(Number(value), at);
  word(entry, 24);
  word(headerSize, bits === 64 ? 32 : 28);
  headers.writeUInt16LE(entrySize, bits === 64 ? 54 : 42);
  headers.writeUInt16LE(segments.length, bits === 64 ? 56 : 44);
  const contents: Buffer[] = [];
  let end = headers.length;
  segments.forEach((segment, index) => {
    const content = Buffer.from(segment.content ?? []);
    const pad = (16 - (end % 16)) % 16;
    contents.push(Buffer.alloc(pad), content);
    const at = headerSize + index * entrySize;
    const physical = segment.physical ?? 0x10_0000;
    const fields = [
      segment.offset ?? end + pad,
      segment.virtual ?? physical,
      physical,
      segment.fileSize ?? content.length,
      segment.memorySize ?? content.length,
      4,
    ];
    headers.writeUInt32LE(segment.type ?? 1, at);
    if (bits === 64) {
      for (const [i, field] of fields.entries()) word(field, at + 8 + i * 8);
    } else {
      for (const [i, field] of fields.entries()) word(field, at + 4 + (i < 5 ? i : 6) * 4);
    }
    end += pad + content.length;
  });
  return Buffer.concat([headers, ...contents]);
}

/** A PT_NOTE segment with some other note, then the PVH entry note. */
export function pvhNote(entry: number): SegmentSpec {
  return { type: 4, content: Buffer.concat([note('GNU', 3, 'abc'), note('Xen', 18, u32(entry))]) };
}

export function note(owner: string, type: number, content: string | Uint8Array): Buffer {
  const name = Buffer.from(`${owner}\0`);
  const bytes = Buffer.from(content as string);
  const pad = (data: Buffer) => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  return Buffer.concat([u32(name.length), u32(bytes.length), u32(type), pad(name), pad(bytes)]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function multibootHeader(flags: number): Buffer {
  return Buffer.concat([u32(0x1bad_b002), u32(flags), u32(2 ** 32 - 0x1bad_b002 - flags)]);
}

export type BzImageSpec = {
  code?: Buffer;
  version?: number;
  has64BitEntry?: boolean;
  prefAddress?: number | bigint;
  initSize?: number;
  alignment?: number;
  initrdMax?: number;
  commandLineMax?: number;
  loadflags?: number;
  code32Start?: number;
};

export function bzImage(spec: BzImageSpec = {}): Buffer {
  const code = spec.code ?? Buffer.alloc(4096, 0xc0);
  const setupSects = 2;
  const setup = Buffer.alloc((setupSects + 1) * 512);
  setup[0x1f1] = setupSects;
  setup.writeUInt32LE(Math.ceil(code.length / 16), 0x1f4);
  setup.writeUInt16LE(0xaa55, 0x1fe);
  setup[0x201] = 0x268 - 0x202;
  setup.write('HdrS', 0x202);
  setup.writeUInt16LE(spec.version ?? 0x20f, 0x206);
  setup[0x211] = spec.loadflags ?? 1;
  setup.writeUInt32LE(spec.code32Start ?? 0x10_0000, 0x214);
  setup.writeUInt32LE(spec.initrdMax ?? 0x7fff_ffff, 0x22c);
  setup.writeUInt32LE(spec.alignment ?? 0x20_0000, 0x230);
  setup[0x234] = 1;
  setup.writeUInt16LE(spec.has64BitEntry === false ? 0 : 1, 0x236);
  setup.writeUInt32LE(spec.commandLineMax ?? 255, 0x238);
  setup.writeBigUInt64LE(BigInt(spec.prefAddress ?? 0x20_0000), 0x258);
  setup.writeUInt32LE(spec.initSize ?? 0x10_0000, 0x260);
  return Buffer.concat([setup, code]);
}

/** An image that is already in memory. */
export function imageOfBytes(name: string, bytes: Uint8Array): ImageFile {
  return {
    name,
    size: bytes.length,
    readInto: (target, offset, part) => {
      checkInside({ name, size: bytes.length }, offset, target.length, part);
      target.set(bytes.subarray(offset, offset + target.length));
    },
    close: () => {},
  };
}
