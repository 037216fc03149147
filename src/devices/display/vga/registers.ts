/**
 * The registers of a VGA, as IBM's "Personal System/2 Hardware Interface Technical Reference - Video Subsystems" and
 * the open programming guides after it name them.
 */

/** Ports. Those from 0x3b0 replace those from 0x3d0 while the Miscellaneous Output register selects monochrome. */
export const PORT = {
  mono: 0x3b0,
  attribute: 0x3c0,
  attributeRead: 0x3c1,
  /** Write: Miscellaneous Output. Read: Input Status #0. */
  misc: 0x3c2,
  sequencerIndex: 0x3c4,
  sequencer: 0x3c5,
  dacMask: 0x3c6,
  /** Write: the index to read from. Read: DAC State. */
  dacRead: 0x3c7,
  dacWrite: 0x3c8,
  dac: 0x3c9,
  featureRead: 0x3ca,
  miscRead: 0x3cc,
  graphicsIndex: 0x3ce,
  graphics: 0x3cf,
  color: 0x3d0,
} as const;

/** Offsets in both groups of ports, 0x3b0 and 0x3d0. */
export const CRTC_PORT = { index: 4, data: 5, status: 0xa } as const;

export const PORTS = { start: PORT.mono, size: 0x30 } as const;

/** Bits of the Miscellaneous Output register. */
export const MISC = { color: 1, ram: 2 } as const;
/** Bits of Input Status #1. */
export const STATUS1 = { displayDisabled: 1, verticalRetrace: 8 } as const;

/** Sequencer: Clocking Mode, Map Mask, Character Map Select, Memory Mode. */
export const SEQ = { reset: 0, clocking: 1, mapMask: 2, fonts: 3, memoryMode: 4 } as const;
export const CLOCKING = { eightDots: 1, screenOff: 0x20 } as const;
export const MEMORY_MODE = { chain4: 8 } as const;

export const GFX = {
  setReset: 0,
  enableSetReset: 1,
  colorCompare: 2,
  dataRotate: 3,
  readMap: 4,
  mode: 5,
  misc: 6,
  colorDontCare: 7,
  bitMask: 8,
} as const;
/** Bits of the graphics controller's mode and miscellaneous registers. */
export const GFX_MODE = { write: 3, readCompare: 8, oddEven: 0x10, shift: 0x60 } as const;
export const GFX_MISC = { graphics: 1, map: 0x0c } as const;

export const ATTR = {
  mode: 0x10,
  overscan: 0x11,
  planes: 0x12,
  panning: 0x13,
  colorSelect: 0x14,
  count: 0x15,
} as const;
export const ATTR_MODE = { blink: 8, p54Select: 0x80 } as const;
/** In the index: the palette is used for display, and not accessible to the CPU. */
export const ATTR_VIDEO = 0x20;

export const CRTC = {
  horizontalDisplayEnd: 0x01,
  overflow: 0x07,
  maximumScanLine: 0x09,
  cursorStart: 0x0a,
  cursorEnd: 0x0b,
  startHigh: 0x0c,
  startLow: 0x0d,
  cursorHigh: 0x0e,
  cursorLow: 0x0f,
  verticalRetraceEnd: 0x11,
  verticalDisplayEnd: 0x12,
  offset: 0x13,
  mode: 0x17,
  lineCompare: 0x18,
  count: 0x19,
} as const;
export const SCAN = { doubled: 0x80, lineCompare9: 0x40, lines: 0x1f } as const;
export const CURSOR_OFF = 0x20;
/** In Vertical Retrace End: protects registers 0 to 7. */
export const PROTECT = 0x80;
/** The part of Overflow that is not protected: bit 8 of Line Compare. */
export const OVERFLOW_LINE_COMPARE = 0x10;

/** Bits that exist. */
export const SEQ_MASK = Uint8Array.of(0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0);
export const GFX_MASK = Uint8Array.of(0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff);
export const ATTR_MASK = Uint8Array.of(...new Array(16).fill(0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f);

/** The registers of mode 3, 80 x 25 characters of 9 x 16 dots, as a VGA BIOS sets them. */
export const TEXT_MODE = {
  misc: 0x67,
  sequencer: [0x03, 0x00, 0x03, 0x00, 0x02],
  graphics: [0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff],
  attribute: [
    ...[0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f],
    ...[0x0c, 0x00, 0x0f, 0x08, 0x00],
  ],
  crtc: [
    ...[0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00],
    ...[0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
  ],
} as const;
