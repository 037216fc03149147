import { own } from '../own.ts';
import type { Definition } from '../schema.ts';
import { shown } from '../words.ts';
import { Draft, type Place } from './draft.ts';
import type { QemuHost } from './drives.ts';
import { OptionError, QemuError, type QemuProblem } from './error.ts';
import { joinNets } from './nic-options.ts';
import { QEMU_ALIASES, QEMU_OPTIONS, type QemuOption, unknownOption } from './options.ts';
import { REFUSED_OPTIONS } from './refused.ts';

/** Which option a definition's keys come from, for what is wrong with them as a whole. */
const OPTION_OF: Readonly<Record<string, string>> = {
  name: '-name',
  memory: '-m',
  cpus: '-smp',
  machine: '-kernel',
  boot: '-boot',
};

type Given = {
  readonly name: string;
  readonly row: QemuOption;
  readonly value: string;
  readonly place: Place;
};

/**
 * The definition that options of QEMU's stand for. The command's own name may be the first word.
 * @param name the VM's name where no -name gives one
 * @throws QemuError naming every option that vring does not have
 */
export function readQemuOptions(words: readonly string[], name: string, host: QemuHost): Definition {
  const draft = new Draft(host);
  const problems: QemuProblem[] = [];
  const given = splitOptions(words, problems);
  for (const late of [false, true]) {
    for (const { name: option, row, value, place } of given) {
      if ((row.late ?? false) !== late) continue;
      collect(problems, place.option, () => {
        if (!row.repeats) draft.once(option);
        row.read(draft, value, place);
      });
    }
  }
  problems.push(...joinNets(draft));
  // A drive that a refused -device would have used is no second problem.
  if (problems.length === 0) problems.push(...draft.unused());
  if (problems.length > 0) throw new QemuError(problems);
  return draft.finish(draft.fields.name ?? name, OPTION_OF);
}

function splitOptions(words: readonly string[], problems: QemuProblem[]): Given[] {
  const given: Given[] = [];
  const isCommand = /^(.*\/)?(qemu-system-\w+|qemu-kvm|kvm)$/.test(words[0] ?? '');
  for (let at = isCommand ? 1 : 0; at < words.length; at++) {
    const word = words[at]!;
    const name = optionName(word);
    // A file without an option is the first hard disk.
    if (name === null) {
      given.push({ name: 'hda', row: QEMU_OPTIONS.hda!, value: word, place: { at, option: shown(word) } });
      continue;
    }
    const row = own(QEMU_OPTIONS, name);
    const refused = own(REFUSED_OPTIONS, name);
    const hasValue = row === undefined ? (refused?.value ?? isValue(words[at + 1])) : row.value !== undefined;
    const value = hasValue ? words[++at] : undefined;
    const option = value === undefined ? `-${name}` : `-${name} ${value}`;
    if (row !== undefined && hasValue && value === undefined) {
      problems.push({ option, message: `expected a value behind it: ${row.value}` });
    } else if (row !== undefined) {
      given.push({ name, row, value: value ?? '', place: { at, option } });
    } else {
      const message = refused ? `vring does not have it: ${refused.instead}` : unknownOption(word).message;
      problems.push({ option, message });
    }
  }
  return given;
}

/** The name of an option, which QEMU takes with one or two dashes; null for what is none. */
function optionName(word: string): string | null {
  const match = /^--?([A-Za-z].*)$/.exec(word);
  if (match === null) return null;
  return own(QEMU_ALIASES, match[1]!) ?? match[1]!;
}

/** Of an option that nobody knows, the next word may be its value. */
function isValue(word: string | undefined): boolean {
  return word !== undefined && !word.startsWith('-');
}

function collect(problems: QemuProblem[], option: string, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    problems.push({ option, message: error.message });
  }
}
