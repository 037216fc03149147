import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const canFreeze =
  process.getuid!() === 0 && fs.existsSync('/dev/loop-control') && fs.existsSync('/usr/sbin/fsfreeze');

/** A folder on its own frozen file system: writes to it sleep until it thaws, and signals do not interrupt them. */
export class FrozenFolder {
  readonly #folder: string;
  readonly #image = path.join(os.tmpdir(), `vring-frozen-${process.pid}.img`);

  /** @param fill puts files into it. With `freeze` false, it is frozen later */
  constructor(folder: string, fill: () => void, { mib = 16, freeze = true } = {}) {
    this.#folder = folder;
    fs.writeFileSync(this.#image, '');
    fs.truncateSync(this.#image, mib * 2 ** 20);
    execFileSync('mkfs.ext4', ['-q', this.#image]);
    execFileSync('mount', ['-o', 'loop', this.#image, folder]);
    fill();
    if (freeze) this.freeze();
  }

  freeze(): void {
    execFileSync('fsfreeze', ['--freeze', this.#folder]);
  }

  thaw(): void {
    execFileSync('fsfreeze', ['--unfreeze', this.#folder]);
    // The process that slept may still have the file system open.
    execFileSync('umount', ['--lazy', this.#folder]);
    fs.rmSync(this.#image);
  }
}
