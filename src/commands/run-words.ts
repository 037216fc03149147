import type { Command, Option } from 'commander';

/**
 * The command line as commander can read it: QEMU's options of `vring run`, which are no options to commander (`-m 1024`,
 * `-smp 2`), go behind `--`, where it takes them as arguments. Options of `run` itself stay, wherever they were.
 */
export function withQemuOptionsLast(program: Command, words: readonly string[]): string[] {
  const run = program.commands.find(command => command.name() === 'run');
  if (run === undefined || words[0] !== 'run') return [...words];
  const own: string[] = [];
  const others: string[] = [];
  let qemu = false;
  for (let at = 1; at < words.length; at++) {
    const word = words[at]!;
    // From here on the user has sorted them out.
    if (word === '--') {
      others.push(...words.slice(at + 1));
      break;
    }
    const option = ownOption(run, word);
    if (option !== undefined) {
      own.push(word);
      const takesNext = option?.required && !word.includes('=');
      if (takesNext && at + 1 < words.length) own.push(words[++at]!);
    } else {
      qemu ||= /^-[A-Za-z]/.test(word);
      others.push(word);
    }
  }
  return qemu ? ['run', ...own, '--', ...others] : [...words];
}

/** The option of `run` that a word is; null for help. */
function ownOption(run: Command, word: string): Option | null | undefined {
  if (word === '-h' || word === '--help') return null;
  const [name] = word.split('=', 1);
  return run.options.find(option => option.long === name);
}
