import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ScreenFrame } from '../../devices/display/screen-frame.ts';
import { pictureOfFrame } from './frame-pixels.ts';
import { png } from './png.ts';

/**
 * Saves a screen's contents as a PNG, in a new file in the working directory, named after the VM and the time.
 * @returns its path. @throws with a sentence for the user
 */
export function saveScreenshot(frame: ScreenFrame, name: string): string {
  const picture = pictureOfFrame(frame);
  if (picture === null) throw new Error('the screen is off: there is no picture to save');
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const path = resolve(`${name}-${time}.png`);
  try {
    writeFileSync(path, png(picture), { flag: 'wx' });
  } catch (error) {
    throw new Error(`the picture was not saved: ${(error as Error).message}`);
  }
  return path;
}
