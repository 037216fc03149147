import type { Command } from 'commander';
import { parseDuration } from '../../text/option-values.ts';
import { UsageError } from '../../text/usage-error.ts';
import { withManual } from '../manual.ts';
import type { AgentOptions, ExecOptions } from './agent.ts';
import { leaving, runningManager } from './manager.ts';

const A_DAY_MS = 86_400_000;
const DEFAULT_TIMEOUT_MS = 600_000;

/** `vring vm agent` and `vring vm exec`, which use the QEMU guest agent in a guest. */
export function registerAgent(vm: Command): void {
  const agent = vm
    .command('agent')
    .argument('<vm>', 'a running VM with `agent: true`')
    .argument('<what>', 'ping: whether its agent answers; info: what it says of the guest')
    .description('Ask the guest agent in a VM')
    .option('--json', 'print JSON')
    .action(async (name: string, what: string, options: AgentOptions) => {
      if (what !== 'ping' && what !== 'info') throw new UsageError(`${what}: expected ping or info`);
      const { agent } = await import('./agent.ts');
      await leaving(await runningManager(), engine => agent(engine, name, what, options));
    });
  withManual(agent, {
    text: [
      'The guest needs qemu-guest-agent, installed and started, and the VM `agent: true` in its definition.',
    ],
    json: [
      ['name', 'the VM name'],
      ['version', 'of the agent'],
      ['hostname', '`os`, `kernel`: with info; null where the agent does not say'],
      ['interfaces', '`name`, `mac`, `addresses`'],
      ['filesystems', '`mountpoint`, `type`, `total` and `used` (bytes, or null)'],
      ['users', 'who is logged in'],
      ['at', 'milliseconds since 1970'],
    ],
    examples: [
      {
        command: 'vring vm agent web info',
        does: 'its host name, system, addresses, file systems and users',
      },
    ],
  });
  registerExec(vm);
}

function registerExec(vm: Command): void {
  const exec = vm
    .command('exec')
    .argument('<vm>', 'a running VM with a guest agent')
    .argument('<command...>', 'a program in the guest and its arguments, after --')
    .description('Run a program in a VM by its guest agent')
    .option('--stdin', 'give it the standard input, at most 1 MiB')
    .option('--env <name=value...>', "its environment, instead of the agent's")
    .option(
      '--timeout <time>',
      'how long it may take, such as 30s (default: 10m); then it goes on in the guest',
      text => parseDuration(text, '--timeout', 1000, A_DAY_MS),
    )
    .option('--json', 'print JSON')
    .action(async (name: string, command: string[], { timeout, ...options }: Options) => {
      const { execInVm } = await import('./agent.ts');
      const timeoutMs = timeout ?? DEFAULT_TIMEOUT_MS;
      process.exitCode = await leaving(await runningManager(), engine =>
        execInVm(engine, name, command, { ...options, timeoutMs }),
      );
    });
  withManual(exec, {
    text: [
      'The output is printed when the program has ended, and its exit status is that of this command; 128 and the signal if one has ended it. ' +
        'There is no shell unless it is the program.',
    ],
    json: [
      ['name', 'the VM name'],
      ['exitCode', 'null if a signal has ended it, which is then `signal`'],
      ['signal', 'null if it has ended by itself'],
      ['stdout', '`stderr`: in base64'],
      ['truncated', 'whether only the first 16 MiB of a stream are there'],
    ],
    examples: [
      { command: 'vring vm exec web -- systemctl is-system-running', does: 'how the guest is' },
      { command: "vring vm exec web -- sh -c 'df -h | tail -n +2'", does: 'a pipe, by a shell of the guest' },
    ],
  });
}

type Options = Omit<ExecOptions, 'timeoutMs'> & { readonly timeout?: number };
