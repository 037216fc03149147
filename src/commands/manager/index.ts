import type { Command } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { listCommand } from '../list-command.ts';
import { withManual } from '../manual.ts';
import type { RestartOptions } from './restart.ts';
import type { StatusOptions } from './status.ts';
import type { StopOptions } from './stop.ts';

const LONGEST_WAIT_SECONDS = 24 * 3600;

/** `vring manager`: the process that starts and watches the VMs' processes. */
export function registerManagerCommands(program: Command): void {
  const manager = program
    .command('manager')
    .description('Manage the manager, the process that starts and watches the VMs');
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
      'A manager that does not respond is usually busy or on an overloaded host. VMs have their own processes ' +
        'and keep running: `vring manager restart --force` replaces such a manager.',
    ],
    json: [
      ['state', '`running`, `slow` (it does not respond) or `none`'],
      ['problem', 'why it does not respond; null otherwise'],
      [
        'manager',
        '`pid`, `version`, `startedAt` (milliseconds since 1970), `unit` (systemd unit: `name`, `user`; or ' +
          'null), `socket`, `log` (file, or null when it logs to stderr), `metrics` (address or null), ' +
          '`memoryBytes` (resident, without the VMs), `clients`, `stopping`; null unless running',
      ],
      [
        'vms',
        '`name`, `state` and `pid` (null without a process) of each VM; without a manager, of those that run',
      ],
      ['interrupted', 'names of VMs that ended unexpectedly, while no manager ran or with the host'],
    ],
  });
}

function registerStop(manager: Command): void {
  const command = withStopOptions(manager.command('stop'))
    .option('--keep-vms', 'leave the VMs running, for the next manager')
    .description('Shut down all VMs and stop the manager')
    .action(async (options: StopOptions) => {
      const { stop } = await import('./stop.ts');
      process.exitCode = await stop(options);
    });
  withManual(command, {
    text: [
      'Presses the power button of every guest, like SIGTERM to the manager. Guests that are still on after ' +
        'the time limit are killed and listed. With --force, all guests are killed immediately, and so is a ' +
        'manager that does not respond. With --keep-vms, like SIGUSR2, the VMs keep running, and the next ' +
        'manager takes them over.',
      'systemd does not restart a service stopped this way; use `systemctl start vring`.',
    ],
  });
}

function registerRestart(manager: Command): void {
  const command = withStopOptions(manager.command('restart'))
    .option('--with-vms', 'shut the guests down, and boot them again')
    .description('Restart the manager; the VMs keep running')
    .action(async (options: RestartOptions) => {
      const { restart } = await import('./restart.ts');
      process.exitCode = await restart(options);
    });
  withManual(command, {
    text: [
      'Use it after an upgrade of vring, for example. The new manager takes over the VMs. Each VM keeps ' +
        'running the code that it was started with, until `vring vm upgrade` moves it to a process of the new ' +
        'version; --with-vms shuts the guests down and boots them again on the new version.',
      'If no manager is running, one is started; it takes over the running VMs and restarts those that ended ' +
        'unexpectedly. A manager that is a systemd service is restarted through systemctl. With --force, a ' +
        'manager that does not respond is killed first.',
      'The exit status is 1 if any of these VMs is not running afterwards.',
    ],
  });
}

function withStopOptions(command: Command): Command {
  return command
    .option(
      '--timeout <seconds>',
      "seconds that guests have to power off (default: the manager's --shutdown-timeout)",
      (text: string) => parseCount(text, '--timeout', 0, LONGEST_WAIT_SECONDS),
    )
    .option('--force', 'kill a manager that does not respond; kill guests instead of shutting them down')
    .option('--json', 'print JSON');
}
