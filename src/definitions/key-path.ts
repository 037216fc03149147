import { printable } from '../text/printable.ts';

/** A path through mappings and lists, as people write it: `disks[0].bus`, safe for the terminal. */
export function keyPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return printable(text);
}
