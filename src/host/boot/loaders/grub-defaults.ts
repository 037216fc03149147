import { readDistribution } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { kernelWords, type ParameterRequest, wordsAbout } from '../kernel-words.ts';
import {
  applyReplacements,
  changeLine,
  type FileEdit,
  isRemoved,
  type LineChange,
  ManualStepError,
  provesEdit,
  type Replacement,
  requestText,
} from '../line-edit.ts';
import type { Dialect, Part } from '../shell/lexer.ts';
import { readShellFiles } from '../shell/script.ts';
import { type Assignment, type PlacedLetter, type ShellVariables, valueText } from '../shell/variables.ts';
import { scriptTrouble } from './grub-config.ts';

export const grubDefaults = '/etc/default/grub';
const dropIns = '/etc/default/grub.d';
const variable = 'GRUB_CMDLINE_LINUX';

type SourceFile = { readonly file: string; readonly text: string };

/** The files that grub-mkconfig sources, in order; null if there is no /etc/default/grub. */
export function grubSources(root: HostRoot): SourceFile[] | null {
  const main = root.text(grubDefaults);
  if (main === null) return null;
  const names = sourcesDropIns(root) ? (root.list(dropIns) ?? []) : [];
  const files = names.filter(name => name.endsWith('.cfg') && !name.startsWith('.'));
  return [
    { file: grubDefaults, text: main },
    ...files.flatMap(name => {
      const text = root.text(`${dropIns}/${name}`);
      return text === null ? [] : [{ file: `${dropIns}/${name}`, text }];
    }),
  ];
}

/** Whether grub-mkconfig sources the directory, as Debian's does. If the script cannot be read, assume so. */
function sourcesDropIns(root: HostRoot): boolean {
  const scripts = ['/usr/sbin/grub-mkconfig', '/usr/sbin/grub2-mkconfig', '/usr/bin/grub-mkconfig'];
  const script = scripts.map(path => root.text(path)).find(Boolean);
  return script ? script.includes('default/grub.d') : true;
}

/** grub-mkconfig is a `#!/bin/sh` script. */
function shellDialect(root: HostRoot): Dialect {
  const target = root.linkName('/bin/sh') ?? root.linkName('/usr/bin/sh');
  if (target !== null) return target === 'bash' ? 'bash' : 'posix';
  return readDistribution(root).family === 'debian' ? 'posix' : 'bash';
}

function evaluate(root: HostRoot, sources: readonly SourceFile[]): ShellVariables {
  return readShellFiles({ dialect: shellDialect(root), sources, read: path => root.text(path) });
}

/** The parameters of a normal entry, as /etc/grub.d/10_linux joins them. */
function commandLine(variables: ShellVariables): { letters: PlacedLetter[]; unknown: string | null } {
  const always = variables.value(variable);
  const normal = variables.value(`${variable}_DEFAULT`);
  const blank: PlacedLetter = { text: ' ', file: '', start: 0, end: 0, quote: 'none' };
  return {
    letters: [...always.letters, blank, ...normal.letters],
    unknown: always.unknown ?? normal.unknown,
  };
}

/** A variable of these files, such as GRUB_ENABLE_BLSCFG; '' if it is not known. */
export function grubVariable(root: HostRoot, name: string): string {
  const sources = grubSources(root);
  if (sources === null) return '';
  const value = evaluate(root, sources).value(name);
  return value.unknown === null ? valueText(value) : '';
}

export type GrubEdit = {
  readonly files: readonly FileEdit[];
  /** These parameters as every generated entry must contain them. */
  readonly words: readonly string[];
};

/**
 * Edits that make the effective command line meet the request, verified by evaluating the edited files.
 * @param then the command to run afterwards, for the manual step
 * @throws ManualStepError if there is no safe edit
 */
export function editGrubDefaults(
  root: HostRoot,
  sources: readonly SourceFile[],
  request: ParameterRequest,
  then: string,
): GrubEdit {
  const refuse = (reason: string): ManualStepError =>
    new ManualStepError(
      `${grubDefaults} cannot be edited safely: ${reason}`,
      `add ${requestText(request)} to ${variable}, then run ${then}`,
    );
  const dos = sources.find(({ text }) => text.includes('\r'));
  if (dos !== undefined)
    throw refuse(`${dos.file} has CR LF line endings, and a shell makes the CR part of the value`);
  const before = evaluate(root, sources);
  const { letters, unknown } = commandLine(before);
  if (unknown !== null) throw refuse(unknown);
  const trouble = scriptTrouble(letters.map(letter => letter.text).join(''));
  if (trouble !== null) throw refuse(`the parameters contain ${trouble}, which would end them in grub.cfg`);
  const change = changeLine(letters, request);
  if (change === null) throw refuse('a parameter that must change is split over several places');
  for (const insertion of insertions(sources, before, letters, change)) {
    const replacements = [...change.replacements, ...insertion];
    const edited = sources.map(({ file, text }) => ({
      file,
      text: applyReplacements(
        text,
        replacements.filter(each => each.file === file),
      ),
    }));
    const after = commandLine(evaluate(root, edited));
    const line = after.letters.map(letter => letter.text).join('');
    if (after.unknown !== null || !provesEdit(line, change)) continue;
    const files = edited.flatMap(({ file, text }, index) => {
      const old = sources[index]!.text;
      return old === text ? [] : [{ path: file, before: old, after: text }];
    });
    return { files, words: wordsAbout(change.words, request) };
  }
  throw refuse('found no place where the parameters take effect');
}

/** Places for the new words, in the order in which they are tried: first where the variable's value begins. */
function insertions(
  sources: readonly SourceFile[],
  variables: ShellVariables,
  letters: readonly PlacedLetter[],
  change: LineChange,
): Replacement[][] {
  if (change.append.length === 0) return [[]];
  const assignments = variables.value(variable).from.filter(each => each.name === variable);
  if (assignments.length === 0) {
    const { file, text } = sources[0]!;
    const line = `${text === '' || text.endsWith('\n') ? '' : '\n'}${variable}="${change.append.join(' ')}"\n`;
    return [[{ file, start: text.length, end: text.length, text: line }]];
  }
  return assignments.map(each => insertInto(each, change, letters));
}

function insertInto(
  assignment: Assignment,
  change: LineChange,
  letters: readonly PlacedLetter[],
): Replacement[] {
  const { file, start, end, parts } = assignment;
  const at = (offset: number, text: string): Replacement => ({ file, start: offset, end: offset, text });
  const text = change.append.join(' ');
  const dashes = dashesIn(assignment, letters);
  if (dashes !== null) return [at(dashes.start, dashes.quote === 'none' ? `"${text} "` : `${text} `)];
  const last = parts.at(-1);
  if (last === undefined) return [at(end, `"${text}"`)];
  if (last.kind === 'string' || (last.kind === 'text' && last.quote !== 'none')) {
    return [at(last.end - 1, `${gapBehind(last, file, change.replacements)}${text}`)];
  }
  const bare = parts.length === 1 && last.kind === 'text' && last.letters.length === end - start;
  return bare && last.letters.every(letter => /[\w.,:=+@%/-]/.test(letter.text))
    ? [at(start, '"'), at(end, ` ${text}"`)]
    : [at(end, `" ${text}"`)];
}

/** The first character of a `--` in this assignment. */
function dashesIn(assignment: Assignment, letters: readonly PlacedLetter[]): PlacedLetter | null {
  const line = letters.map(letter => letter.text).join('');
  const end = kernelWords(line).at(-1)?.end ?? 0;
  const dashes = /^\s*(?=--(\s|$))/.exec(line.slice(end));
  const letter = dashes === null ? undefined : letters[end + dashes[0].length];
  const here =
    letter?.file === assignment.file && letter.start >= assignment.start && letter.end <= assignment.end;
  return here ? letter : null;
}

function gapBehind(part: Part, file: string, replacements: readonly Replacement[]): string {
  const letter = part.kind === 'text' ? part.letters.at(-1) : undefined;
  const start = part.kind === 'text' ? part.letters[0]?.start : undefined;
  if (letter !== undefined && isRemoved(replacements, file, start!, letter.end)) return '';
  if (part.kind === 'text' && (letter === undefined || /\s/.test(letter.text))) return '';
  return ' ';
}
