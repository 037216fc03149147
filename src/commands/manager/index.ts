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
  const manager = program
    .command('manager')
    .description('Manage the manager, the process that holds the VMs');
  registerStatus(manager);
  registerStop(manager);
  registerRestart(manager);
}

function registerStatus(manager: Command): void {
  const command = listCommand(manager, 'status')
    .description('Show whether a manager is running, with its socket, log and metrics')
    .option('--json', 'print JSON')
    .action(async (options: StatusOptions) => {
      const { status } = await import('./status.ts');
      process.exitCode = await status(options);
    });
  withManual(command, {
    text: [
      'The exit status is 0 if a manager is running, 1 if it does not respond, and 3 if none is running.',
      'A manager that does not respond is usually busy or on an overloaded host. Killing it kills its VMs.',
    ],
    json: [
      ['state', '`running`, `slow` (it does not respond) or `none`'],
      ['problem', 'why it does not respond; null otherwise'],
      [
        'manager',
        '`pid`, `version`, `startedAt` (milliseconds since 1970), `unit` (systemd unit: `name`, `user`; or null), `socket`, `log` (file, or ' +
          'null when it logs to stderr), `metrics` (address or null), `memoryBytes` (resident, including guest memory), `clients`, ' +
          '`stopping`; null unless running',
      ],
      ['vms', '`name` and `state` of each VM'],
      ['interrupted', 'names of VMs that ended unexpectedly with the last manager or the host'],
    ],
  });
}

function registerStop(manager: Command): void {
  const command = withStopOptions(manager.command('stop'))
    .description('Shut down all VMs and stop the manager')
    .action(async (options: StopOptions) => {
      const { stop } = await import('./stop.ts');
      process.exitCode = await stop(options);
    });
  withManual(command, {
    text: [
      'Presses the power button of every guest, like SIGTERM to the manager. Guests that are still on after the time limit are ' +
        'killed and listed. With --force, all guests are killed at once, and so is a manager that does not respond.',
      'systemd does not restart a service stopped this way; use `systemctl start vring`.',
    ],
  });
}

function registerRestart(manager: Command): void {
  const command = withStopOptions(manager.command('restart'))
    .description('Restart the manager and the VMs that were running')
    .action(async (options: RestartOptions) => {
      const { restart } = await import('./restart.ts');
      process.exitCode = await restart(options);
    });
  withManual(command, {
    text: [
      'Guests shut down and boot again, for example after an upgrade of vring. If no manager is running, one is started with the ' +
        'VMs that ended unexpectedly when the last one died. A manager that is a systemd service is restarted through systemctl.',
      'The exit status is 1 if any of these VMs is not running afterwards.',
    ],
  });
}

function withStopOptions(command: Command): Command {
  return command
    .option(
      '--timeout <seconds>',
      "seconds that guests get to power off (default: the manager's --shutdown-timeout)",
      (text: string) => parseCount(text, '--timeout', 0, LONGEST_WAIT_SECONDS),
    )
    .option('--force', 'kill guests at once, and a manager that does not respond')
    .option('--json', 'print JSON');
}
