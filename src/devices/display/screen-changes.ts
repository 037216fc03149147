import type { ScreenArea, ScreenFrame } from './screen-frame.ts';

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
