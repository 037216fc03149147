import { printable } from './printable.ts';

/** A line of text being edited, and the cursor in it, counted in code points. */
export type TextEdit = { readonly text: string; readonly cursor: number };

export function textEdit(text = ''): TextEdit {
  return { text, cursor: [...text].length };
}

/** A paste as text for one line: line breaks become spaces, so that nothing is lost or taken for Enter. */
export function pastedText(text: string): string {
  return printable(text.replace(/^[\r\n]+|[\r\n]+$/g, '').replace(/[\r\n\t]+/g, ' '));
}

/** The line with a text inserted at the cursor. */
export function insertText({ text, cursor }: TextEdit, insert: string): TextEdit {
  const points = [...text];
  return {
    text: [...points.slice(0, cursor), insert, ...points.slice(cursor)].join(''),
    cursor: cursor + [...insert].length,
  };
}

/**
 * The line after a key: characters are inserted, and the common editing keys move and erase. Other keys are ignored.
 */
export function editText(edit: TextEdit, key: string): TextEdit {
  const points = [...edit.text];
  const { cursor } = edit;
  const without = (from: number, to: number): TextEdit => ({
    text: [...points.slice(0, from), ...points.slice(to)].join(''),
    cursor: from,
  });
  switch (key) {
    case 'left':
      return { ...edit, cursor: Math.max(0, cursor - 1) };
    case 'right':
      return { ...edit, cursor: Math.min(points.length, cursor + 1) };
    case 'home':
    case 'ctrl+a':
      return { ...edit, cursor: 0 };
    case 'end':
    case 'ctrl+e':
      return { ...edit, cursor: points.length };
    case 'backspace':
      return cursor === 0 ? edit : without(cursor - 1, cursor);
    case 'delete':
      return without(cursor, cursor + 1);
    case 'ctrl+u':
      return without(0, cursor);
    case 'ctrl+k':
      return { text: points.slice(0, cursor).join(''), cursor };
    case 'ctrl+w':
      return without(wordStart(points, cursor), cursor);
    case 'space':
      return insertText(edit, ' ');
    default:
      return [...key].length === 1 ? insertText(edit, key) : edit;
  }
}

function wordStart(points: readonly string[], cursor: number): number {
  let at = cursor;
  while (at > 0 && points[at - 1] === ' ') at--;
  while (at > 0 && points[at - 1] !== ' ') at--;
  return at;
}
