import { parseChord } from './chord.ts';
import type { Chord } from './key-strokes.ts';

export type SpecialChord = { readonly label: string; readonly chord: Chord };

const special = (label: string, text: string): SpecialChord => ({ label, chord: parseChord(text) });

/** Keys that a terminal does not send, or handles itself. */
export const SPECIAL_CHORDS: readonly SpecialChord[] = [
  special('Ctrl-Alt-Delete', 'ctrl-alt-delete'),
  ...Array.from({ length: 7 }, (_, index) => special(`Ctrl-Alt-F${index + 1}`, `ctrl-alt-f${index + 1}`)),
  special('Ctrl-Alt-Backspace', 'ctrl-alt-backspace'),
  special('Alt-Tab', 'alt-tab'),
  special('Print Screen', 'print'),
  special('Alt-SysRq-B (Linux: reboot now)', 'alt-print-b'),
  special('Windows key', 'meta_l'),
  special('Ctrl-\\', 'ctrl-backslash'),
  special('Ctrl-]', 'ctrl-bracket_right'),
];
