import { createInterface } from 'node:readline/promises';
import { UsageError } from '../../text/usage-error.ts';

/** @throws UsageError without a terminal, naming the alternative */
export function requirePrompt(instead: string): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new UsageError(`cannot prompt without a terminal: ${instead}`);
}

/** Prompts on the terminal; an empty answer selects the default. @throws on Ctrl-C and Ctrl-D */
export async function ask(question: string, byDefault = ''): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const ended = Promise.withResolvers<never>();
  const giveUp = () => ended.reject(new Error('canceled: nothing was changed'));
  terminal.on('SIGINT', giveUp);
  terminal.on('close', giveUp);
  try {
    const shown = byDefault === '' ? question : `${question} [${byDefault}]`;
    const answer = await Promise.race([terminal.question(`${shown}: `), ended.promise]);
    return answer.trim() || byDefault;
  } finally {
    terminal.off('close', giveUp);
    terminal.close();
  }
}

export async function confirm(question: string, byDefault: boolean): Promise<boolean> {
  const answer = await ask(`${question} [${byDefault ? 'Y/n' : 'y/N'}]`);
  return answer === '' ? byDefault : /^y(es)?$/i.test(answer);
}
