import { editedWords, kernelWords, type ParameterRequest, wordEdits } from './kernel-words.ts';
import type { PlacedLetter } from './shell/variables.ts';

/** Something that cannot be edited safely: the reason, and the manual step. */
export class ManualStepError extends Error {
  constructor(reason: string, step: string) {
    super(`${reason}; manual step: ${step}`);
    this.name = 'ManualStepError';
  }
}

/** A file to be replaced. */
export type FileEdit = { readonly path: string; readonly before: string; readonly after: string };

/** A range of a file that is replaced; an insertion if both offsets are equal. */
export type Replacement = {
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
};

/** These need no quotes, and are literal within any. */
const plain = /^[\w.,:=+@%/-]+$/;

export function isPlainWord(word: string): boolean {
  return plain.test(word);
}

/** Text as a command line, each character with its position. */
export function placedText(file: string, text: string, start: number): PlacedLetter[] {
  return text.split('').map((letter, index) => ({
    text: letter,
    file,
    start: start + index,
    end: start + index + 1,
    quote: 'none' as const,
  }));
}

/** COMMAND_LINE_SIZE of x86 less the final NUL: the kernel truncates longer lines. */
const maxLine = 2047;

export type LineChange = {
  /** For words that are changed or removed. */
  readonly replacements: readonly Replacement[];
  /** New words. */
  readonly append: readonly string[];
  /** All words of the line afterwards, new ones at the end. */
  readonly words: readonly string[];
};

/**
 * The change to a command line that meets the request.
 * @param letters the command line; characters that are in no file (`file` is '') cannot be changed
 * @returns null if a word that must change is not contiguous in one file
 * @throws ManualStepError if the line would be longer than the kernel reads
 */
export function changeLine(letters: readonly PlacedLetter[], request: ParameterRequest): LineChange | null {
  checkLength(letters.length, request);
  const words = kernelWords(letters.map(letter => letter.text).join(''));
  const texts = words.map(word => word.text);
  const edits = wordEdits(texts, request);
  const replacements: Replacement[] = [];
  for (const [index, text] of edits.changes) {
    const { start, end } = words[index]!;
    const span = placeOf(letters, start, end);
    if (span === null || (text !== null && !isPlainWord(text))) return null;
    if (text !== null) replacements.push({ ...span, text });
    else {
      const blank = [start - 1, end].find(at => /\s/.test(letters[at]?.text ?? ''));
      const around = [placeOf(letters, start - 1, end), placeOf(letters, start, end + 1)];
      const wide = blank === undefined ? null : around[blank < start ? 0 : 1]!;
      replacements.push({ ...(wide ?? span), text: '' });
    }
  }
  if (!edits.append.every(isPlainWord)) return null;
  const after = editedWords(texts, edits);
  checkLength(after.join(' ').length, request);
  return { replacements, append: edits.append, words: after };
}

function checkLength(length: number, request: ParameterRequest): void {
  if (length <= maxLine) return;
  throw new ManualStepError(
    `the kernel command line would have ${length} characters, but the kernel reads only ${maxLine}`,
    `remove parameters that are not needed, then add ${requestText(request)}`,
  );
}

/** The contiguous range of one file, within the same quotes. */
function placeOf(
  letters: readonly PlacedLetter[],
  start: number,
  end: number,
): Omit<Replacement, 'text'> | null {
  const first = letters[start];
  const last = letters[end - 1];
  if (first === undefined || last === undefined || first.file === '') return null;
  for (let at = start + 1; at < end; at++) {
    const [before, here] = [letters[at - 1]!, letters[at]!];
    if (here.file !== before.file || here.quote !== before.quote || here.start !== before.end) return null;
  }
  return { file: first.file, start: first.start, end: last.end };
}

/** Replaces ranges, which may only overlap in a shared blank. */
export function applyReplacements(text: string, replacements: readonly Replacement[]): string {
  let result = '';
  let at = 0;
  for (const each of replacements.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    // Two adjacent words that are removed share the blank between them.
    const start = Math.max(at, each.start);
    result += text.slice(at, start) + each.text;
    at = Math.max(at, each.end);
  }
  return result + text.slice(at);
}

/**
 * Whether the edited line has the expected words: new ones anywhere before `--`, all others in their order.
 * @param line what is read from the edited files
 */
export function provesEdit(line: string, change: LineChange): boolean {
  const found = kernelWords(line).map(word => word.text);
  for (const word of change.append) {
    const at = found.lastIndexOf(word);
    if (at < 0) return false;
    found.splice(at, 1);
  }
  const kept = change.words.slice(0, change.words.length - change.append.length);
  return found.length === kept.length && found.every((word, index) => word === kept[index]);
}

/** A range of a file that holds only kernel parameters. */
export type PlainRange = { readonly start: number; readonly end: number };

/**
 * Edits a plain command line that may be spread over several ranges of a file; new words are added at its end.
 * @param read finds the ranges in a text of this file; applied to the edited text to verify it
 * @returns null if nothing has to change
 * @throws ManualStepError if a word is not contiguous
 */
export function editPlain(
  path: string,
  text: string,
  read: (text: string) => readonly PlainRange[],
  request: ParameterRequest,
): FileEdit | null {
  const ranges = read(text);
  const last = ranges.at(-1);
  const letters = placedLine(path, text, ranges);
  const change = last === undefined ? null : changeLine(letters, request);
  if (change !== null) {
    const replacements = [...change.replacements];
    if (change.append.length > 0) replacements.push(insertion(path, letters, text, last!, change));
    const after = applyReplacements(text, replacements);
    const line = placedLine(path, after, read(after)).map(letter => letter.text);
    if (provesEdit(line.join(''), change)) return after === text ? null : { path, before: text, after };
  }
  const step = `add ${requestText(request)} to its kernel parameters`;
  throw new ManualStepError(`${path} cannot be edited safely`, step);
}

function placedLine(path: string, text: string, ranges: readonly PlainRange[]): PlacedLetter[] {
  const blank: PlacedLetter = { text: ' ', file: '', start: 0, end: 0, quote: 'none' };
  return ranges.flatMap(({ start, end }) => [...placedText(path, text.slice(start, end), start), blank]);
}

/** Before `--`: everything after it is for init. */
function insertion(
  path: string,
  letters: readonly PlacedLetter[],
  text: string,
  last: PlainRange,
  change: LineChange,
): Replacement {
  const dashes = /(?<=^|\s)--(?=\s|$)/.exec(letters.map(letter => letter.text).join(''));
  const at = dashes === null ? undefined : letters[dashes.index];
  const words = change.append.join(' ');
  if (at !== undefined) return { file: path, start: at.start, end: at.start, text: `${words} ` };
  const content = text.slice(last.start, last.end).trimEnd();
  const start = last.start + content.length;
  const empty = isRemoved(change.replacements, path, last.start, start);
  const gap = content === '' && last.start === last.end && /\S/.test(text[last.start - 1] ?? '') ? ' ' : '';
  return { file: path, start, end: start, text: `${empty ? gap : ' '}${words}` };
}

/** Whether a range of a file is removed completely; true for an empty one. */
export function isRemoved(
  replacements: readonly Replacement[],
  file: string,
  start: number,
  end: number,
): boolean {
  const removed = replacements.filter(each => each.file === file && each.text === '');
  let at = start;
  for (const each of removed.toSorted((a, b) => a.start - b.start)) {
    if (each.start <= at) at = Math.max(at, each.end);
  }
  return at >= end;
}

/** `"intel_iommu=on iommu=pt" (without amd_iommu=off)`. */
export function requestText(request: ParameterRequest): string {
  const removed = request.remove.length === 0 ? '' : ` (without ${request.remove.join(' ')})`;
  return `"${request.add.join(' ')}"${removed}`;
}
