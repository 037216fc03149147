import { writeFileSync } from 'node:fs';
import type { Engine } from '../../engine/engine.ts';
import { followScreen } from '../../engine/screen/follow-screen.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { pictureOfFrame } from '../../screen/picture/frame-pixels.ts';
import { png } from '../../screen/picture/png.ts';
import { noScreen } from '../../screen/terminal/attach.ts';
import { findVm } from './find.ts';

/** Saves a VM's screen as a PNG. @param file `-` for standard output */
export async function screenshot(
  engine: Engine,
  name: string,
  file: string,
  { device }: { readonly device?: string },
): Promise<void> {
  const vm = findVm(engine.vms(), name);
  if (!isAlive(vm)) throw new Error(`${name} is ${vm.state}: start it with vring vm start ${name}`);
  const obstacle = noScreen(vm);
  if (obstacle !== null) throw new Error(obstacle);
  const link = followScreen(engine, vm.id, device);
  try {
    const view = await link.next();
    const picture = pictureOfFrame(view?.frame ?? { kind: 'off' });
    if (picture === null) throw new Error(`the screen of ${name} is off: there is no picture to save`);
    writeFileSync(file === '-' ? process.stdout.fd : file, png(picture));
  } finally {
    link.close();
  }
}
