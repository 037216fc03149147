import { own } from '../../text/own.ts';
import type { Definition } from '../schema.ts';
import { shown } from '../words.ts';
import { configWords } from './config-file.ts';
import { Draft, type Place, RefersToRefused } from './draft.ts';
import { OptionError, QemuError, type QemuProblem } from './error.ts';
import { addFirmware, placeFlash } from './firmware.ts';
import type { QemuHost } from './host.ts';
import { hostFile } from './host-file.ts';
import { asksForNothing, LEFT_OUT_OPTIONS } from './left-out.ts';
import { setConsole } from './machine.ts';
import { placeMemory } from './memory.ts';
import { addDefaultCard, joinNets } from './nic-options.ts';
import type { LeftOutNote } from './notes.ts';
import { placeNodes } from './numa.ts';
import { checkAccelerators, QEMU_ALIASES, QEMU_OPTIONS, type QemuOption, unknownOption } from './options.ts';
import { placeConsoles, placeOtherPorts } from './ports.ts';
import { REFUSED_OPTIONS } from './refused.ts';

/** The option that each key of a definition comes from, for problems with the whole. */
const OPTION_OF: Readonly<Record<string, string>> = {
  name: '-name',
  memory: '-m',
  cpus: '-smp',
  machine: '-kernel',
  boot: '-boot',
  disks: '-drive',
  nics: '-nic',
  inputs: '-usbdevice',
  passthrough: '-device vfio-pci',
  devices: '-device',
};

type Given = {
  readonly name: string;
  readonly row: QemuOption;
  readonly value: string;
  readonly place: Place;
};

/** A definition, and the options that were left out of it. */
export type QemuMachine = { readonly definition: Definition; readonly leftOut: readonly LeftOutNote[] };

/**
 * The definition that QEMU options describe. The program's name may be the first word. Options that a guest does not
 * need are left out, and named.
 * @param name the VM's name if there is no -name
 * @param deviceModules files whose types -device may name
 * @throws QemuError naming every option that needs something vring does not have
 */
export function readQemuOptions(
  words: readonly string[],
  name: string,
  host: QemuHost,
  deviceModules: readonly string[] = [],
): QemuMachine {
  const draft = new Draft(host);
  if (deviceModules.length > 0) draft.fields.deviceModules = [...deviceModules];
  const problems: QemuProblem[] = [];
  const given = lastOfEach(draft, splitOptions(draft, withConfigFiles(words, host, problems), problems));
  const problem = ({ option }: Place, error: OptionError) => {
    if (!(error instanceof RefersToRefused)) problems.push({ option, message: error.message });
  };
  for (const late of [false, true]) {
    for (const { row, value, place } of given) {
      if ((row.late ?? false) !== late) continue;
      collect(
        problems,
        place.option,
        () => row.read(draft, value, place),
        () => draft.refuse(place),
      );
    }
  }
  checkAccelerators(draft, problem);
  placeMemory(draft, problem);
  placeNodes(draft, problem);
  placeConsoles(draft, problem);
  placeOtherPorts(draft, problem);
  collect(problems, '-machine', () => placeFlash(draft));
  addFirmware(draft);
  collect(problems, '-netdev hubport', () => joinNets(draft));
  addDefaultCard(draft);
  setConsole(draft);
  if (problems.length > 0) throw new QemuError(problems);
  draft.leaveOutUnused();
  return { definition: draft.finish(draft.fields.name ?? name, OPTION_OF), leftOut: draft.notes };
}

/** The words with those of the files of -readconfig in its place. */
function withConfigFiles(words: readonly string[], host: QemuHost, problems: QemuProblem[]): string[] {
  return words.flatMap((word, at) => {
    if (isReadConfig(words[at - 1])) return [];
    const value = isReadConfig(word) ? words[at + 1] : undefined;
    if (value === undefined) return [word];
    let read: string[] = [];
    collect(problems, `-readconfig ${value}`, () => {
      const file = hostFile(value, host);
      if (host.configText === undefined)
        throw new OptionError(
          'configuration files cannot be read here: give their options on the command line',
        );
      read = configWords(host.configText(file), file);
    });
    return read;
  });
}

function isReadConfig(word: string | undefined): boolean {
  return word === '-readconfig' || word === '--readconfig';
}

/** Groups words by option. Options that are left out or refused as a whole are handled here. */
function splitOptions(draft: Draft, words: readonly string[], problems: QemuProblem[]): Given[] {
  const given: Given[] = [];
  const isCommand = /^(.*\/)?(qemu-system-\w+|qemu-kvm|kvm)$/.test(words[0] ?? '');
  const architecture = /^(?:.*\/)?qemu-system-(\w+)$/.exec(words[0] ?? '')?.[1];
  if (architecture !== undefined && !/^(x86_64|i386|x86_64-\w+)$/.test(architecture)) {
    problems.push({ option: words[0]!, message: 'vring only runs x86 guests' });
  }
  for (let at = isCommand ? 1 : 0; at < words.length; at++) {
    const word = words[at]!;
    const name = optionName(word);
    // A file without an option is the first hard disk.
    if (name === null) {
      given.push({ name: 'hda', row: QEMU_OPTIONS.hda!, value: word, place: { at, option: shown(word) } });
      continue;
    }
    const row = own(QEMU_OPTIONS, name);
    const other = own(LEFT_OUT_OPTIONS, name) ?? own(REFUSED_OPTIONS, name);
    const hasValue = row === undefined ? (other?.value ?? isValue(words[at + 1])) : row.value !== undefined;
    const value = hasValue ? words[++at] : undefined;
    const option = value === undefined ? `-${name}` : `-${name} ${value}`;
    const place = { at, option };
    if (hasValue && value === undefined) {
      const what = row?.value === undefined ? '' : `: ${row.value}`;
      problems.push({ option, message: `expected a value after it${what}` });
    } else if (row !== undefined) given.push({ name, row, value: value ?? '', place });
    else if (other === undefined) problems.push({ option, message: unknownOption(word).message });
    else if ('instead' in other) problems.push({ option, message: other.instead });
    else if (!asksForNothing(value ?? '')) draft.leaveOut(place, other.reason);
  }
  return given;
}

/** The last of several occurrences counts, as in QEMU, unless every one does. */
function lastOfEach(draft: Draft, given: readonly Given[]): Given[] {
  const last = new Map(given.map(each => [each.name, each]));
  return given.filter(each => {
    if (each.row.repeats || last.get(each.name) === each) return true;
    draft.leaveOut(each.place, `a later -${each.name} replaces it`);
    return false;
  });
}

/** The name of an option, with one or two dashes as in QEMU; null if it is not an option. */
function optionName(word: string): string | null {
  const match = /^--?([A-Za-z0-9].*)$/.exec(word);
  if (match === null) return null;
  return own(QEMU_ALIASES, match[1]!) ?? match[1]!;
}

/** The next word may be the value of an unknown option. */
function isValue(word: string | undefined): boolean {
  return word !== undefined && !word.startsWith('-');
}

function collect(problems: QemuProblem[], option: string, read: () => void, refused = () => {}): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    refused();
    if (!(error instanceof RefersToRefused)) problems.push({ option, message: error.message });
  }
}
