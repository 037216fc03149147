import type { Command } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { listCommand } from '../list-command.ts';
import { withManual } from '../manual.ts';
import type { RestartOptions } from './restart.ts';
import type { StatusOptions } from './status.ts';
import type { StopOptions } from './stop.ts';

const LONGEST_WAIT_SECONDS = 24 * 3600;

/** `vring manager`: the process that holds the VMs. */
export function registerManagerCommands(program: Command): void {
  const manager = program.command('manager').description('The manager: the process that holds the VMs');
  registerStatus(manager);
  registerStop(manager);
  registerRestart(manager);
}

function registerStatus(manager: Command): void {
  const command = listCommand(manager, 'status')
    .description('Show whether a manager runs, and where its socket, log and metrics are')
    .option('--json', 'as JSON')
    .action(async (options: StatusOptions) => {
      const { status } = await import('./status.ts');
      process.exitCode = await status(options);
    });
  withManual(command, {
    text: [
      'The exit status is 0 when a manager runs and answers, 1 when it runs and does not answer, and 3 when none runs.',
      'A manager that does not answer is usually busy, or its host is. Killing it would end its VMs.',
    ],
    json: [
      ['state', '`running`, `slow` (it does not answer) or `none`'],
      ['problem', 'why it does not answer, in a sentence; null otherwise'],
      [
        'manager',
        '`pid`, `version`, `startedAt` (milliseconds since 1970), `unit` (systemd unit: `name`, `user`; or null), `socket`, `log` (file, or ' +
          'null when it logs to stderr), `metrics` (address or null), `memoryBytes` (resident, with the memory of its guests), `clients`, ' +
          '`stopping`; null unless it runs',
      ],
      ['vms', '`name` and `state` of each VM'],
      ['interrupted', 'names of VMs that ended unexpectedly, with the last manager or the host'],
    ],
  });
}

function registerStop(manager: Command): void {
  const command = withStopOptions(manager.command('stop'))
    .description('Shut down all VMs, and stop the manager')
    .action(async (options: StopOptions) => {
      const { stop } = await import('./stop.ts');
      process.exitCode = await stop(options);
    });
  withManual(command, {
    text: [
      'The power button of every guest is pressed, as SIGTERM has the manager do. Guests that are still on after the time limit are ' +
        'killed, and named. With --force all are killed at once, and a manager that does not answer is killed too.',
      'systemd does not start a service again that was stopped like this: `systemctl start vring` does.',
    ],
  });
}

function registerRestart(manager: Command): void {
  const command = withStopOptions(manager.command('restart'))
    .description('Stop the manager, start it again, and start the VMs that ran')
    .action(async (options: RestartOptions) => {
      const { restart } = await import('./restart.ts');
      process.exitCode = await restart(options);
    });
  withManual(command, {
    text: [
      'The guests shut down and boot again: after an upgrade of vring, for instance. Where no manager runs, one is started, with the ' +
        'VMs that ended unexpectedly when the last one died. A manager that is a systemd service is started again by systemctl.',
      'The exit status is 1 when one of these VMs does not run afterwards.',
    ],
  });
}

function withStopOptions(command: Command): Command {
  return command
    .option(
      '--timeout <seconds>',
      'how long guests may take to power off (default: as the manager was started)',
      (text: string) => parseCount(text, '--timeout', 0, LONGEST_WAIT_SECONDS),
    )
    .option('--force', 'kill guests at once; kill a manager that does not answer')
    .option('--json', 'as JSON');
}
