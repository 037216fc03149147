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
    .argument('<what>', 'ping: check whether its agent responds; info: show what it reports about the guest')
    .description('Query the guest agent of a VM')
    .option('--json', 'print JSON')
    .action(async (name: string, what: string, options: AgentOptions) => {
      if (what !== 'ping' && what !== 'info') throw new UsageError(`${what}: expected ping or info`);
      const { agent } = await import('./agent.ts');
      await leaving(await runningManager(), engine => agent(engine, name, what, options));
    });
  withManual(agent, {
    text: ["The guest must run qemu-guest-agent, and the VM's definition must have `agent: true`."],
    json: [
      ['name', 'the VM name'],
      ['version', 'of the agent'],
      ['hostname', '`os`, `kernel`: with info; null if the agent does not report it'],
      ['interfaces', '`name`, `mac`, `addresses`'],
      ['filesystems', '`mountpoint`, `type`, `total` and `used` (bytes, or null)'],
      ['users', 'users logged in'],
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
    .description('Run a program in a VM through its guest agent')
    .option('--stdin', 'pass standard input to it, at most 1 MiB')
    .option('--env <name=value...>', "its environment, instead of the agent's")
    .option(
      '--timeout <time>',
      'how long to wait for it, such as 30s (default: 10m); it is not killed afterward',
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
      "The output is printed when the program has ended. The exit status is the program's, or 128 plus the " +
        'signal that ended it. No shell is involved unless it is the program.',
    ],
    json: [
      ['name', 'the VM name'],
      ['exitCode', 'null if a signal ended it'],
      ['signal', 'the signal that ended it, or null'],
      ['stdout', '`stderr`: in base64'],
      ['truncated', 'whether a stream was cut off after 16 MiB'],
    ],
    examples: [
      {
        command: 'vring vm exec web -- systemctl is-system-running',
        does: "the state of the guest's system",
      },
      {
        command: "vring vm exec web -- sh -c 'df -h | tail -n +2'",
        does: 'a pipeline, through a shell in the guest',
      },
    ],
  });
}

type Options = Omit<ExecOptions, 'timeoutMs'> & { readonly timeout?: number };
