import { Argument, type Command } from 'commander';
import { writeOut } from '../text/output.ts';
import { withManual } from './manual.ts';

/** `vring completion`, and the hidden command that the scripts it prints ask. */
export function registerCompletion(program: Command): void {
  const completion = program
    .command('completion')
    .description('Print the script that completes vring command lines in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionScript } = await import('./completion/scripts.ts');
      writeOut(completionScript(shell));
    });
  withManual(completion, {
    text: ['It completes commands, options, names of VMs, PCI addresses and files.'],
    examples: [
      {
        command: 'vring completion bash > /etc/bash_completion.d/vring',
        does: 'for bash, from the next shell on',
      },
      { command: 'vring completion zsh > /usr/local/share/zsh/site-functions/_vring', does: 'for zsh' },
      { command: 'vring completion fish > ~/.config/fish/completions/vring.fish', does: 'for fish' },
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
