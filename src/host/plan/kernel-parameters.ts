import { kernelParameterEdits, type ParameterEdits } from '../boot/parameters.ts';
import type { HostRoot } from '../root.ts';
import { fileSteps } from './file-step.ts';
import { type Change, type Condition, noUndo, type Plan, planVersion, type Step } from './plan.ts';

type Command = readonly [string, ...string[]];

/**
 * Puts parameters on the kernel's command line from the next boot on.
 * @throws for a boot loader that vring does not know, with what to add by hand.
 */
export function planKernelParameters(root: HostRoot, added: readonly string[]): Plan {
  const edits = kernelParameterEdits(root, added);
  const words = added.join(' ');
  const files = edits.files.flatMap(file =>
    fileSteps(root, {
      path: file.path,
      content: file.after,
      reason: `${edits.loader.name} has the kernel's command line here: ${words} is added`,
      risk: 'a host whose kernel does not start with it is started by choosing another entry or editing the line',
      foreign: true,
    }),
  );
  const steps = [...files, ...commandSteps(root, edits)];
  return {
    version: planVersion,
    kind: 'kernel-parameters',
    title: `Add ${words} to the kernel's command line`,
    devices: [],
    checks: [],
    steps,
    assumes: edits.files.map(file => ({ kind: 'file', path: file.path, content: file.before })),
    notes: [
      steps.length > 0
        ? 'it counts from the next boot on'
        : `${words} is configured already: it counts from the next boot on`,
    ],
  };
}

/** Undone after the files are as they were. */
function commandSteps(root: HostRoot, edits: ParameterEdits): Step[] {
  return edits.commands.map((command, index) => {
    const undo = edits.undoCommands[index];
    return {
      ...commandChange(command, madeBy(root, edits, command)),
      reason: `${edits.loader.name} takes it over`,
      risk: null,
      undo:
        undo === undefined
          ? noUndo
          : { changes: [{ ...commandChange(undo, []), when: [] }], last: edits.files.length > 0 },
    };
  });
}

function commandChange(argv: Command, expect: readonly Condition[]): Change {
  return { action: { kind: 'run', argv, seconds: 300 }, expect, within: 0 };
}

/** How the command's result can be read back. */
function madeBy(root: HostRoot, edits: ParameterEdits, command: Command): Condition[] {
  if (edits.loader.kind === 'grubby') {
    return [{ kind: 'output', argv: [command[0], '--info=ALL'], has: edits.added, lacks: [] }];
  }
  if (edits.loader.kind !== 'grub') return [];
  const output = command[command.indexOf('-o') + 1];
  const config = output?.startsWith('/') && command.includes('-o') ? output : '/boot/grub/grub.cfg';
  return root.exists(config) ? [{ kind: 'contains', path: config, texts: edits.added }] : [];
}
