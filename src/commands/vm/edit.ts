import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { confirm } from './ask.ts';
import type { VmBook } from './book.ts';
import { findVm } from './find.ts';

/**
 * Has the user edit a definition, and saves it once it is right. A text that can't be saved is never thrown away: it is
 * edited again, or stays in a file that is named.
 * @returns the exit status
 */
export async function editVm(book: VmBook, name: string): Promise<number> {
  const vm = findVm(book.vms(), name);
  if (!vm.defined) throw new Error(`${name} has no definition: it was started without one`);
  const original = await book.definition(name);
  const folder = mkdtempSync(join(tmpdir(), 'vring-edit-'));
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, original, { mode: 0o600 });
  const kept = `your text is kept in ${file}`;
  for (;;) {
    const problem = runEditor(file);
    const text = readFileSync(file, 'utf8');
    if (text === original) {
      rmSync(folder, { recursive: true });
      if (problem !== null) throw new Error(problem);
      console.error(`vring: ${name} is unchanged`);
      return 0;
    }
    if (problem !== null) throw new Error(`${problem}; ${kept}`);
    const failure = await save(book, name, text, original);
    if (failure === null) {
      rmSync(folder, { recursive: true });
      const running =
        vm.state === 'off' || vm.state === 'crashed' ? '' : '; it takes effect at the next start';
      console.log(`${name}: saved; the definition before it is ${name}.yaml~${running}`);
      return 0;
    }
    console.error(`vring: ${failure}`);
    if (!process.stdin.isTTY || !(await confirm('Edit again?', true).catch(() => false))) {
      throw new Error(`${name} was not changed; ${kept}`);
    }
  }
}

/** @returns what keeps the text from being saved; null when it is saved */
async function save(book: VmBook, name: string, text: string, original: string): Promise<string | null> {
  try {
    if ((await book.definition(name)) !== original) {
      return `somebody else has changed the definition of ${name} meanwhile: bring the two together, then run vring vm edit again`;
    }
    await book.define(name, text, { replace: true });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** @returns what went wrong with the editor itself */
function runEditor(file: string): string | null {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi';
  // The variables may hold a command with arguments, so a shell reads them; the file's name is no part of what it reads.
  const { status, signal, error } = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], {
    stdio: 'inherit',
  });
  if (error !== undefined) return `the editor can not be started: ${error.message}`;
  if (status === 127) return `there is no editor "${editor}": set VISUAL or EDITOR to one`;
  if (signal !== null) return `the editor "${editor}" was ended by ${signal}`;
  return status === 0 ? null : `the editor "${editor}" ended with status ${status}`;
}
