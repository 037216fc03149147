import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runEditor } from '../../actions/editor.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { printError, printLines } from '../../text/output.ts';
import { printJson } from '../host/host-options.ts';
import { confirm } from './ask.ts';
import { findVm } from './find.ts';
import type { VmList } from './vm-list.ts';

export type EditOptions = { readonly json?: boolean };

/**
 * Lets the user edit a definition, and saves it once it is valid. A text that cannot be saved is never lost: it is edited
 * again, or kept in a file that is named.
 * @returns the exit status
 */
export async function editVm(vmList: VmList, name: string, options: EditOptions): Promise<number> {
  const vm = findVm(vmList.vms(), name);
  if (!vm.defined) throw new Error(`${name} has no definition to edit: it was started without one`);
  const original = await vmList.definition(name);
  const folder = mkdtempSync(join(tmpdir(), 'vring-edit-'));
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, original, { mode: 0o600 });
  const kept = `your text is kept in ${file}`;
  for (;;) {
    const problem = await runEditor(file);
    const text = readFileSync(file, 'utf8');
    if (text === original) {
      rmSync(folder, { recursive: true });
      if (problem !== null) throw new Error(problem);
      if (options.json) printJson({ name, changed: false, definition: text });
      else printError(`vring: ${name} is unchanged`);
      return 0;
    }
    if (problem !== null) throw new Error(`${problem}; ${kept}`);
    const failure = await save(vmList, name, text, original);
    if (failure === null) {
      rmSync(folder, { recursive: true });
      const running = isAlive(vm) ? '; it takes effect at the next start' : '';
      if (options.json) printJson({ name, changed: true, definition: text });
      else printLines(`${name}: saved; the previous definition is kept as ${name}.yaml~${running}`);
      return 0;
    }
    printError(`vring: ${failure}`);
    if (!process.stdin.isTTY || !(await confirm('Edit again?', true).catch(() => false))) {
      throw new Error(`${name} was not changed; ${kept}`);
    }
  }
}

/** @returns why it was not saved; null if it was */
async function save(vmList: VmList, name: string, text: string, original: string): Promise<string | null> {
  try {
    if ((await vmList.definition(name)) !== original) {
      return `the definition of ${name} changed while you were editing: merge the two, then run vring vm edit again`;
    }
    await vmList.define(name, text, { replace: true });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
