import { Argument, type Command } from 'commander';
import { writeOut } from '../text/output.ts';
import { withManual } from './manual.ts';

/** `vring completion`, and the hidden command that the completion scripts call. */
export function registerCompletion(program: Command): void {
  const completion = program
    .command('completion')
    .description('Print the shell completion script')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionScript } = await import('./completion/scripts.ts');
      writeOut(completionScript(shell));
    });
  withManual(completion, {
    text: ['Completes commands, options, VM names, PCI addresses and files.'],
    examples: [
      {
        command: 'vring completion bash > /etc/bash_completion.d/vring',
        does: 'bash; takes effect in new shells',
      },
      { command: 'vring completion zsh > /usr/local/share/zsh/site-functions/_vring', does: 'zsh' },
      { command: 'vring completion fish > ~/.config/fish/completions/vring.fish', does: 'fish' },
    ],
  });
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: string[]) => {
      const { complete } = await import('./completion/complete.ts');
      const { answerLines } = await import('./completion/answer.ts');
      writeOut(`${answerLines(await complete(program, words)).join('\n')}\n`);
    });
}
