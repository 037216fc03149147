import { editText, insertText, pastedText, type TextEdit, textEdit } from '../text/text-edit.ts';
import type { ParsedKey } from './parse-key.ts';

/** A text being edited; a fresh one is a default that has not been touched yet. */
export type EditedText = { readonly edit: TextEdit; readonly fresh: boolean };

const ERASE = new Set(['backspace', 'delete', 'ctrl+u', 'ctrl+k', 'ctrl+w']);

/** The text after a key. Typing replaces a default; once the cursor was moved in it, it is edited. */
export function editedText({ edit, fresh }: EditedText, key: ParsedKey): TextEdit {
  const start = fresh && (isText(key) || ERASE.has(key.name)) ? textEdit() : edit;
  if (key.name === 'paste') return insertText(start, pastedText(key.text ?? ''));
  return fresh && key.name === 'right' ? textEdit(edit.text) : editText(start, key.name);
}

function isText({ name }: ParsedKey): boolean {
  return name === 'paste' || name === 'space' || [...name].length === 1;
}
