import fs from 'node:fs';
import path from 'node:path';
import type { TreeBuilder } from './builder.ts';
import { serverTree } from './server.ts';

/** What no terminal may obey: modes, the clipboard, a C1 sequence, text that is turned around, a line separator. */
export const EVIL = '\x1b[1337h\x1b[8m\x1b]52;c;aGk=\x07\u009b31m\u202e\u2028\x7f\b';

/** What must not be in an output of lines. */
export const OBEYED = /[\0-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** What the kernel, a user or a vendor can name. */
const NAMES =
  /i40e|nvme|i801_smbus|ens1f[0-3]|bond0|vg0|qemu-system-x86|X710|Red Hat Enterprise|Samsung|root=\/dev/g;

/** A server with control characters behind every name: in texts, file names and links. */
export function hostileTree(): TreeBuilder {
  const tree = serverTree();
  poison(tree.directory);
  return tree;
}

function poison(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isSymbolicLink()) {
      const target = fs.readlinkSync(file);
      fs.rmSync(file);
      fs.symlinkSync(
        target.replace(NAMES, name => name + EVIL),
        file,
      );
    } else if (entry.isDirectory()) {
      poison(file);
    } else if (entry.isFile() && entry.name !== 'config') {
      const text = fs.readFileSync(file, 'utf8');
      if (!text.includes('\uFFFD'))
        fs.writeFileSync(
          file,
          text.replace(NAMES, name => name + EVIL),
        );
    }
    const name = entry.name.replace(NAMES, each => each + EVIL);
    if (name !== entry.name) fs.renameSync(file, path.join(folder, name));
  }
}
