import { isConfigured, kernelParameterEdits } from '../boot/kernel-parameters.ts';
import type { ParameterRequest } from '../boot/kernel-words.ts';
import type { LoaderCommand, ParameterEdits } from '../boot/loaders/loader.ts';
import type { HostRoot } from '../root.ts';
import { fileSteps } from './file-step.ts';
import { type Change, type Condition, type Plan, planVersion, type Step } from './plan.ts';

/**
 * Adds parameters to the kernel command line, from the next boot.
 * @throws ManualStepError if that cannot be done safely, with the manual steps
 */
export function planKernelParameters(root: HostRoot, request: ParameterRequest): Plan {
  const edits = kernelParameterEdits(root, request);
  const words = request.add.join(' ');
  const files = edits.files.flatMap(file =>
    fileSteps(root, {
      path: file.path,
      content: file.after,
      reason: `${edits.loader} reads the kernel command line from this file`,
      risk: 'if the host does not boot, choose another boot entry, or edit the line in the boot menu',
      foreign: true,
    }),
  );
  const steps = [...files, ...edits.commands.map(command => commandStep(root, edits, command))];
  return {
    version: planVersion,
    kind: 'kernel-parameters',
    title: `Add ${words} to the kernel command line`,
    devices: [],
    checks: [],
    steps,
    assumes: edits.files.map(file => ({ kind: 'file', path: file.path, content: file.before })),
    notes: [
      isConfigured(edits)
        ? `${words} is already configured and takes effect at the next boot`
        : 'takes effect at the next boot',
      ...removed(edits),
      ...edits.notes,
    ],
  };
}

/** Configured parameters that contradict the request: they may have been set for a reason. */
function removed({ request, files }: ParameterEdits): string[] {
  const candidates = new Set([...request.remove, 'intel_iommu=off', 'iommu=off', 'iommu=nopt']);
  const gone = [...candidates].filter(word =>
    files.some(({ before, after }) => hasOption(before, word) && !hasOption(after, word)),
  );
  return gone.length === 0 ? [] : [`${gone.join(' ')} is removed`];
}

/** `intel_iommu=off` is in `intel_iommu=sm_on,off`, but not in `iommu=off`. */
function hasOption(text: string, word: string): boolean {
  const [key, option] = word.split('=') as [string, string];
  return new RegExp(`(?<![\\w.])${key}=(?:[\\w.]+,)*${option}(?![\\w.])`).test(text);
}

/** Generator commands run again once the files are restored. */
function commandStep(root: HostRoot, edits: ParameterEdits, command: LoaderCommand): Step {
  const change = (argv: LoaderCommand['argv'], expect: readonly Condition[]): Change => ({
    action: { kind: 'run', argv, seconds: 600 },
    expect,
    within: 0,
  });
  const undo = change(command.undo ?? command.argv, []);
  return {
    ...change(command.argv, resultCondition(root, command)),
    reason: command.reason,
    risk: null,
    undo: { changes: [{ ...undo, when: [] }], last: command.undo === null || edits.files.length > 0 },
  };
}

/** How to read back the command's result. */
function resultCondition(root: HostRoot, { result }: LoaderCommand): Condition[] {
  if (result === null) return [];
  if (result.kind === 'output') return [{ kind: 'output', argv: result.argv, has: result.has, lacks: [] }];
  return root.exists(result.path) ? [{ kind: 'contains', path: result.path, texts: result.has }] : [];
}
