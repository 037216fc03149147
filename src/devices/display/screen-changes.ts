import type { ScreenArea, ScreenFrame, TextFrame } from './screen-frame.ts';

/** The area of a whole frame. */
export function wholeOf(frame: ScreenFrame): ScreenArea[] {
  if (frame.kind === 'off') return [];
  const [width, height] = frame.kind === 'text' ? [frame.columns, frame.rows] : [frame.width, frame.height];
  return [{ x: 0, y: 0, width, height }];
}

/** Whether two frames have the same mode and size, so that they can be compared for changes. */
export function isAlike(a: ScreenFrame, b: ScreenFrame): boolean {
  if (a.kind === 'text') return b.kind === 'text' && a.columns === b.columns && a.rows === b.rows;
  if (a.kind === 'graphics') return b.kind === 'graphics' && a.width === b.width && a.height === b.height;
  return b.kind === 'off';
}

/** Whether all of a text frame looks different, even with the same characters. */
export function looksDifferent(a: TextFrame, b: TextFrame): boolean {
  return (
    a.blinks !== b.blinks ||
    !isSame(a.palette, b.palette) ||
    a.font.width !== b.font.width ||
    a.font.height !== b.font.height ||
    !isSame(a.font.glyphs, b.font.glyphs) ||
    (a.font.second === null) !== (b.font.second === null) ||
    (a.font.second !== null && !isSame(a.font.second, b.font.second!))
  );
}

function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
