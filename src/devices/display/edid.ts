/**
 * The data with which a monitor describes itself, and by which drivers choose a mode: VESA Enhanced EDID Standard 1.4,
 * a single block.
 */

const EDID_BYTES = 128;

/** Established timings (§3.8): 640x480, 800x600 and 1024x768, at 60 Hz. */
const ESTABLISHED = [0x21, 0x08, 0x00] as const;
/** Standard timings (§3.9), at 60 Hz: width, and the code of its aspect. */
const STANDARD = [
  [1920, 3],
  [1680, 0],
  [1600, 1],
  [1440, 0],
  [1280, 2],
  [1280, 0],
] as const;
const REFRESH = 60;
/** Reduced blanking (VESA CVT 1.2 §3.4.3). */
const H_BLANK = 160;
const H_FRONT = 48;
const H_SYNC = 32;
const V_FRONT = 3;
const V_SYNC = 6;
/** Microseconds. */
const V_BLANK_LEAST = 460;
/** Millimeters per pixel: a hundred dots per inch. */
const MM = 0.254;

/** The EDID of a virtual machine's monitor, which prefers this mode. @param name up to 13 characters */
export function edid(width: number, height: number, name: string): Uint8Array {
  const bytes = new Uint8Array(EDID_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
  // The manufacturer, five bits per letter.
  view.setUint16(
    8,
    [...'VRG'].reduce((id, letter) => (id << 5) | (letter.charCodeAt(0) - 0x40), 0),
  );
  view.setUint16(10, 1, true);
  // Week, year since 1990, version.
  bytes.set([1, 36, 1, 4], 16);
  // Digital, 8 bits per color; centimeters; gamma 2.2; RGB, sRGB, and that the preferred mode is the native one.
  bytes.set(
    [
      0xa0,
      Math.min(255, Math.round((width * MM) / 10)),
      Math.min(255, Math.round((height * MM) / 10)),
      120,
      0x06,
    ],
    20,
  );
  // The primaries of sRGB.
  bytes.set([0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54], 25);
  bytes.set(ESTABLISHED, 35);
  bytes.fill(0x01, 38, 54);
  for (const [index, [wide, aspect]] of STANDARD.entries()) {
    bytes.set([wide / 8 - 31, aspect << 6], 38 + 2 * index);
  }
  bytes.set(detailedTiming(width, height), 54);
  bytes.set(descriptor(0xfc, [...name.slice(0, 13)].map(letter => letter.charCodeAt(0)).concat(0x0a)), 72);
  // Ranges in Hz and kHz, and of the pixel clock in 10 MHz: any.
  bytes.set(descriptor(0xfd, [50, 125, 30, 160, 255, 0x01, 0x0a]), 90);
  bytes.set(descriptor(0x10, []), 108);
  bytes[127] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

/** §3.10.3: an 18-byte descriptor that is not a timing. */
function descriptor(tag: number, text: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(18).fill(0x20, 5);
  bytes[3] = tag;
  bytes.set(text, 5);
  if (tag === 0x10) bytes.fill(0, 5);
  return bytes;
}

/** §3.10.2 */
function detailedTiming(width: number, height: number): Uint8Array {
  const bytes = new Uint8Array(18);
  const vBlank = Math.max(
    V_FRONT + V_SYNC + 6,
    Math.ceil((V_BLANK_LEAST * height) / (1_000_000 / REFRESH - V_BLANK_LEAST)),
  );
  const clock = Math.round(((width + H_BLANK) * (height + vBlank) * REFRESH) / 10_000);
  new DataView(bytes.buffer).setUint16(0, Math.min(clock, 0xffff), true);
  const low = (value: number) => value & 0xff;
  const highs = (a: number, b: number) => ((a >> 8) << 4) | (b >> 8);
  bytes.set([low(width), low(H_BLANK), highs(width, H_BLANK)], 2);
  bytes.set([low(height), low(vBlank), highs(height, vBlank)], 5);
  bytes.set([H_FRONT, H_SYNC, (V_FRONT << 4) | V_SYNC, 0], 8);
  const [wide, high] = [Math.round(width * MM), Math.round(height * MM)];
  bytes.set([low(wide), low(high), highs(wide, high), 0, 0], 12);
  // Digital, separate synchronization, horizontal positive.
  bytes[17] = 0x1a;
  return bytes;
}
