import { MONITOR_SIDE, type MonitorSize, type ScreenResize } from '../devices/display/monitor-size.ts';
import type { ByteReader } from './byte-reader.ts';
import { ENCODING, rectangleHead } from './messages.ts';

/**
 * The extension by which clients ask for another size of the desktop, and are notified of it: message 251 and pseudo-encoding -308 of the registry of
 * rfbproto (SetDesktopSize, ExtendedDesktopSize).
 */

/** Why an ExtendedDesktopSize rectangle comes: of itself, or as the answer to this client's request, which has a status. */
const REASON = { server: 0, thisClient: 1 } as const;
const STATUS = { prohibited: 1, outOfResources: 2, invalidLayout: 3, forwarded: 4 } as const;
const SCREEN_BYTES = 16;

export type SizeStatus = (typeof STATUS)[keyof typeof STATUS];

/** What a client wants the desktop to be; null: something that no desktop here can be, such as several screens. */
export async function readDesktopSize(reader: ByteReader): Promise<MonitorSize | null> {
  const head = await reader.read(7);
  const size = { width: head.readUInt16BE(1), height: head.readUInt16BE(3) };
  const screens = await reader.read(SCREEN_BYTES * head[5]!);
  if (screens.length !== SCREEN_BYTES) return null;
  const [x, y, width, height] = [4, 6, 8, 10].map(at => screens.readUInt16BE(at));
  const isWhole = x === 0 && y === 0 && width === size.width && height === size.height;
  return isWhole && isPossible(size.width) && isPossible(size.height) ? size : null;
}

/** The status for what became of a request; null: it may not be made. */
export function statusOf(result: ScreenResize | null): SizeStatus {
  switch (result) {
    case null:
      return STATUS.prohibited;
    case 'notified':
      return STATUS.forwarded;
    case 'fixed':
      return STATUS.invalidLayout;
    case 'memory':
      return STATUS.outOfResources;
  }
}

export const INVALID_LAYOUT: SizeStatus = STATUS.invalidLayout;
export const NOT_NOW: SizeStatus = STATUS.outOfResources;

/** A rectangle that has the desktop's size: with a status, the answer to the client's request. */
export function extendedDesktopSize({ width, height }: MonitorSize, status?: SizeStatus): Buffer {
  const place = { x: status === undefined ? REASON.server : REASON.thisClient, y: status ?? 0 };
  const screens = Buffer.alloc(4 + SCREEN_BYTES);
  screens[0] = 1;
  screens.writeUInt16BE(width, 4 + 8);
  screens.writeUInt16BE(height, 4 + 10);
  return Buffer.concat([rectangleHead({ ...place, width, height }, ENCODING.extendedDesktopSize), screens]);
}

function isPossible(side: number): boolean {
  return side >= MONITOR_SIDE.least && side <= MONITOR_SIDE.most;
}
