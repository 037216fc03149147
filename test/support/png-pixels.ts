import { crc32, inflateSync } from 'node:zlib';

/** Decodes the output of `png` in src/screen/picture. @throws if it is not valid */
export function pngPixels(file: Buffer): {
  readonly width: number;
  readonly height: number;
  readonly color: (x: number, y: number) => number;
} {
  const check = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`the PNG has a wrong ${what}`);
  };
  check(file.subarray(0, 8).toString('latin1') === '\x89PNG\r\n\x1a\n', 'signature');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + length);
    check(file.readUInt32BE(at + 8 + length) === crc32(body), 'checksum');
    chunks.set(body.toString('latin1', 0, 4), body.subarray(4));
    at += 12 + length;
  }
  const header = chunks.get('IHDR')!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const rows = inflateSync(chunks.get('IDAT')!);
  const pixels = Buffer.alloc(3 * width * height);
  for (let y = 0; y < height; y++) {
    check(rows[y * (1 + 3 * width)] === 2, 'filter');
    for (let x = 0; x < 3 * width; x++) {
      const above = y === 0 ? 0 : pixels[(y - 1) * 3 * width + x]!;
      pixels[y * 3 * width + x] = rows[y * (1 + 3 * width) + 1 + x]! + above;
    }
  }
  return { width, height, color: (x, y) => pixels.readUIntBE(3 * (y * width + x), 3) };
}
