import type { Command } from 'commander';
import { parseDuration, parseSize } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { MigrateOptions } from './migrate.ts';

const A_DAY_MS = 24 * 3_600_000;

/** `vring vm migrate`, and what it runs on the other host. */
export function registerMigration(vm: Command): void {
  registerMigrate(vm);
  registerReceive(vm);
}

function registerMigrate(vm: Command): void {
  const command = vm
    .command('migrate')
    .argument('<vm>', 'a running or paused VM')
    .argument('[host]', 'the other host: [user@]host or ssh://[user@]host[:port]')
    .description('Move a VM to another host while it runs')
    .option('--as <name>', 'give it another name there')
    .option('--keep', 'keep its definition here')
    .option(
      '--bandwidth <size>',
      'send at most this much per second while the guest runs, such as 100M',
      text => parseSize(text, '--bandwidth'),
    )
    .option('--max-downtime <time>', 'how long the guest may stand still (default: 300ms)', text =>
      parseDuration(text, '--max-downtime', 1, 3_600_000),
    )
    .option('--timeout <time>', 'give up if it takes longer to send the memory', text =>
      parseDuration(text, '--timeout', 1, A_DAY_MS),
    )
    .option('--then-pause', 'stop the guest after --timeout instead of giving up')
    .option(
      '--command <command>',
      'reach vring vm receive on the other host by a shell command instead of SSH',
    )
    .option('--cancel', 'cancel the migration in progress')
    .option('--json', 'print JSON')
    .action(async (name: string, host: string | undefined, options: MigrateOptions) => {
      const { migrate } = await import('./migrate.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine =>
        migrate(engine, name, host, options),
      );
    });
  withManual(command, {
    text: [
      "The manager runs `ssh HOST vring vm receive`, with the keys of this user's SSH agent, and sends the VM " +
        'over that connection: first all memory, then again what the guest has written in the meantime, until ' +
        'the rest can be sent within --max-downtime. Then the guest is stopped, and continues on the other host. ' +
        'Its definition moves along. Disks are not copied: both hosts must see the same files at the same paths.',
      'On a failure, the VM keeps running on this host. Ctrl-C cancels, as does --cancel. If the connection breaks ' +
        'in the last moment, so that it is not known whether the other host runs the VM, it stays paused here, and ' +
        'a message says what to check: `vring vm resume` then continues it here, and `vring vm kill` ends it.',
      'With --command, only the command protects what is sent: use it with trusted networks.',
    ],
    json: [
      ['name', 'its name on the other host'],
      ['destination', 'the other host'],
      ['totalMs', 'milliseconds from the request until it ran there'],
      ['downtimeMs', 'milliseconds that its guest stood still'],
      ['rounds', 'how many times memory was sent'],
      ['sent', 'bytes of memory and state'],
      ['canceled', 'with --cancel, instead of the others: the VM'],
    ],
    examples: [
      { command: 'vring vm migrate web root@host2', does: 'move it; its disks are on shared storage' },
      {
        command: 'vring vm migrate db host2 --timeout 2m --then-pause',
        does: 'stop its guest after two minutes if it writes memory too fast',
      },
      {
        command: "vring vm migrate web host2 --command 'ssh host2 sudo vring vm receive'",
        does: 'to the manager of root there',
      },
    ],
  });
}

function registerReceive(vm: Command): void {
  const command = vm
    .command('receive')
    .description('Receive a VM from another host on standard input')
    .action(async () => {
      const { receive } = await import('./receive.ts');
      process.exitCode = await receive();
    });
  withManual(command, {
    text: [
      '`vring vm migrate` runs this on the host to which it moves a VM, and talks to it over standard input and ' +
        'output. If no manager is running, one is started in the background.',
    ],
  });
}
