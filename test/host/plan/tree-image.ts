import fs from 'node:fs';
import path from 'node:path';
import type { HostRoot } from '../../../src/host/root.ts';

/** Everything in a tree, as text: two trees are the same if their images are equal. */
export function treeImage(root: HostRoot): Record<string, string> {
  const image: Record<string, string> = {};
  const visit = (directory: string): void => {
    for (const entry of fs.readdirSync(path.join(root.path, directory), { withFileTypes: true })) {
      const name = `${directory}/${entry.name}`;
      const file = path.join(root.path, name);
      if (entry.isSymbolicLink()) image[name] = `-> ${fs.readlinkSync(file)}`;
      else if (entry.isDirectory()) {
        image[name] = 'directory';
        visit(name);
      } else image[name] = `${fs.statSync(file).mode.toString(8)} ${fs.readFileSync(file, 'latin1')}`;
    }
  };
  visit('');
  const { nodes, addresses, commands } = root.facts();
  image['the device nodes'] = JSON.stringify([...nodes].map(node => node.path).sort());
  image['the addresses'] = JSON.stringify(Object.entries(addresses).sort());
  image['the commands'] = JSON.stringify(commands);
  return image;
}
