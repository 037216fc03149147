import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { runEditor } from './editor.ts';
import type { Ui } from './ui.ts';

type Draft = {
  readonly name: string;
  /** Its text when editing began. */
  readonly original: string;
  readonly folder: string;
  readonly file: string;
};

/** Lets the user edit a VM's definition in their editor, and saves it once it is valid. */
export async function editDefinition(ui: Ui, name: string): Promise<void> {
  const original = await ui.engine.definition(name);
  const folder = await mkdtemp(join(tmpdir(), 'vring-edit-'));
  const file = join(folder, `${basename(name)}.yaml`);
  await writeFile(file, original, { mode: 0o600 });
  await edit(ui, { name, original, folder, file });
}

/** A text that can't be saved is never lost: it is edited again, or kept in a file that is named. */
async function edit(ui: Ui, draft: Draft): Promise<void> {
  const { name, original, folder, file } = draft;
  let problem: string | null = null;
  await ui.lend(async () => {
    problem = await runEditor(file);
  });
  const text = await readFile(file, 'utf8');
  if (text === original) {
    await rm(folder, { recursive: true });
    if (problem === null) ui.notify('info', `${name} is unchanged`);
    else ui.notify('error', problem);
    return;
  }
  const failure = problem ?? (await save(ui, draft, text));
  if (failure === null) {
    await rm(folder, { recursive: true });
    ui.notify('info', `${name} is saved, for its next start; the previous definition is ${name}.yaml~`);
    return;
  }
  const kept = `Your text is kept in ${file}`;
  ui.choose(`${name} was not saved`, `${failure}\n${kept}.`, [
    { label: 'Edit again', run: () => void ui.attempt(edit(ui, draft)) },
    { label: 'Leave it', run: () => ui.notify('info', kept) },
  ]);
}

/** @returns why the text cannot be saved; null if it is saved */
async function save(ui: Ui, { name, original }: Draft, text: string): Promise<string | null> {
  try {
    if ((await ui.engine.definition(name)) !== original)
      return 'it was changed in the meantime: merge the two, then edit it again';
    await ui.engine.define(name, text, { replace: true });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
