import type { Rectangle } from './framebuffer.ts';

/** Client messages (RFC 6143 §7.5), and those of extensions. */
export const CLIENT = {
  setPixelFormat: 0,
  setEncodings: 2,
  framebufferUpdateRequest: 3,
  keyEvent: 4,
  pointerEvent: 5,
  clientCutText: 6,
  setDesktopSize: 251,
  qemu: 255,
} as const;

/**
 * Encodings, and the pseudo-encodings by which clients announce capabilities (RFC 6143 §7.7, §7.8, and the registry of
 * rfbproto).
 */
export const ENCODING = {
  raw: 0,
  zrle: 16,
  desktopSize: -223,
  qemuExtendedKey: -258,
  extendedDesktopSize: -308,
} as const;

const FRAMEBUFFER_UPDATE = 0;

/** What an update with so many rectangles begins with. */
export function updateHead(rectangles: number): Buffer {
  const head = Buffer.alloc(4);
  head[0] = FRAMEBUFFER_UPDATE;
  head.writeUInt16BE(rectangles, 2);
  return head;
}

export function rectangleHead({ x, y, width, height }: Rectangle, encoding: number): Buffer {
  const head = Buffer.alloc(12);
  for (const [index, value] of [x, y, width, height].entries()) head.writeUInt16BE(value, 2 * index);
  head.writeInt32BE(encoding, 8);
  return head;
}
