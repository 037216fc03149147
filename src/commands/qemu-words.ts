import type { Command, Option } from 'commander';

/** The commands that take QEMU options, by name. */
const TAKE_QEMU_OPTIONS: readonly (readonly string[])[] = [['run'], ['vm', 'create']];

/**
 * The command line in a form that commander parses: QEMU options (`-m 1024`, `-smp 2`), which it does not know, move behind
 * `--`, where it takes them as arguments. The command's own options may be anywhere.
 */
export function withQemuOptionsLast(program: Command, words: readonly string[]): string[] {
  const names = TAKE_QEMU_OPTIONS.find(names => names.every((name, at) => words[at] === name));
  const command = names?.reduce<Command | undefined>(
    (above, name) => above?.commands.find(each => each.name() === name),
    program,
  );
  if (names === undefined || command === undefined) return [...words];
  const own: string[] = [];
  const others: string[] = [];
  let qemu = false;
  for (let at = names.length; at < words.length; at++) {
    const word = words[at]!;
    // The user separated the rest already.
    if (word === '--') {
      others.push(...words.slice(at + 1));
      break;
    }
    const option = ownOption(command, word);
    if (option !== undefined) {
      own.push(word);
      const takesNext = option?.required && !word.includes('=');
      if (takesNext && at + 1 < words.length) own.push(words[++at]!);
    } else {
      qemu ||= /^-[A-Za-z]/.test(word) || QEMU_PROGRAM.test(word);
      others.push(word);
    }
  }
  return qemu ? [...names, ...own, '--', ...others] : [...words];
}

/** The program name at the start of a QEMU command line. */
const QEMU_PROGRAM = /^(.*\/)?(qemu-system-\w+|qemu-kvm|kvm)$/;

/** The command's option that a word names; null for help. */
function ownOption(command: Command, word: string): Option | null | undefined {
  if (word === '-h' || word === '--help') return null;
  const [name] = word.split('=', 1);
  return command.options.find(option => option.long === name);
}
