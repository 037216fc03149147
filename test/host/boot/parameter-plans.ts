import { afterEach } from 'vitest';
import { kernelParameterEdits } from '../../../src/host/boot/kernel-parameters.ts';
import { shellText } from '../../../src/text/shell.ts';
import type { TreeBuilder } from '../trees/builder.ts';

export const request = { add: ['intel_iommu=on', 'iommu=pt'], remove: [] };
export const wanted = 'intel_iommu=on iommu=pt';
/** A command line of a host that GRUB did not boot. */
export const notGrub = 'root=/dev/sda2 ro quiet\n';

const trees: TreeBuilder[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.remove();
});

/** The edits of a host, which is removed after the test. */
export function edits(tree: TreeBuilder) {
  trees.push(tree);
  return kernelParameterEdits(tree.root(), request);
}

/** What becomes of files, and what is run, in their order. */
export function plan(tree: TreeBuilder) {
  const { files, commands } = edits(tree);
  return {
    files: Object.fromEntries(files.map(file => [file.path, file.after])),
    commands: commands.map(command => shellText(command.argv)),
  };
}

export const nothing = { files: {}, commands: [] };

export function refusal(tree: TreeBuilder): string {
  try {
    edits(tree);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no refusal';
}
