/**
 * C0 and C1 controls, DEL, the line separators, and the marks that reorder text: anything that could move the cursor,
 * change the terminal's state or disguise a text.
 */
export const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A text from a guest, the hardware or a user's file, made safe for the terminal, on one line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '?');
}

/** The lines of a text, each made safe. */
export function printableLines(text: string): string[] {
  return text.replaceAll('\t', '  ').split(/\r?\n/).map(printable);
}
