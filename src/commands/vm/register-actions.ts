import type { Command } from 'commander';
import type { Engine } from '../../engine/engine.ts';
import { parseCount } from '../../text/option-values.ts';
import { type Manual, withManual } from '../manual.ts';
import type { Action } from './act.ts';
import type { ActionOptions, StartOptions, StopOptions, UpgradeOptions } from './actions.ts';

const TIMEOUT_SECONDS = 60;
const LONGEST_TIMEOUT_SECONDS = 24 * 3600;

type Actions = typeof import('./actions.ts');

const JSON_KEYS: NonNullable<Manual['json']> = [
  [
    'vms',
    'in the order of the names: `name`, `ok`, `result` (a phrase; null after an error), `error` (null on ' +
      'success), `state` (afterwards; null for an unknown VM)',
  ],
];

/** The commands that act on several VMs. */
export function registerActions(vm: Command): void {
  register<StartOptions>(
    vm.command('start').description('Start VMs that are not running'),
    'all VMs that are off and can start',
    (actions, options) => actions.start(options),
    {
      startsManager: true,
      text: [
        'If no manager is running, one is started in the background.',
        'A saved VM continues where it was. If its saved state no longer fits, it does not start; ' +
          '--discard-saved boots it without that state.',
      ],
    },
  )
    .option('--discard-saved', 'discard saved states, and boot')
    .option('--wait', 'wait until they end; exit status 1 if any of them crashed');

  register<StopOptions>(
    vm.command('stop').description('Press the ACPI power button of VMs and wait until they are off'),
    'all running or paused VMs',
    (actions, options) => actions.stop(options),
    {
      text: [
        'A guest that does not shut down within the time limit is left running, unless --force is given.',
      ],
    },
  )
    .option('--force', 'kill VMs that are not off after the time limit')
    .option('--no-wait', 'return after pressing the button')
    .option('--wait', 'wait until they are off (default)');

  register<ActionOptions>(
    vm
      .command('save')
      .description('Write the state of VMs to disk and end them; their next start continues from there'),
    'all running or paused VMs',
    (actions, options) => actions.save(options),
    {
      text: [
        'Disks are not copied: while a VM is saved, nothing may write to its disks. --timeout limits the time ' +
          'for writing; a VM that is not saved by then keeps running.',
      ],
    },
  );
  register<ActionOptions>(
    vm.command('kill').description('Kill VMs, as if their power was cut'),
    'all running or paused VMs',
    (actions, options) => actions.kill(options),
  );
  register<ActionOptions>(
    vm.command('reset').description('Press the reset button of VMs'),
    'all running or paused VMs',
    (actions, options) => actions.reset(options),
  );
  register<ActionOptions>(
    vm.command('pause').description('Pause the vCPUs of VMs'),
    'all running VMs',
    (actions, options) => actions.pause(options),
  );
  register<ActionOptions>(
    vm.command('resume').description('Resume the vCPUs of paused VMs'),
    'all paused VMs',
    (actions, options) => actions.resume(options),
  );
  register<ActionOptions>(
    vm.command('wake').description('Wake up VMs whose guests are suspended to RAM (ACPI S3)'),
    'all suspended VMs',
    (actions, options) => actions.wake(options),
    {
      text: [
        "A guest suspends itself, for instance by systemctl suspend. The power button, a key, the guest's own " +
          'alarm, and a magic packet to an e1000, e1000e, rtl8139 or i82551 card wake it up, too.',
      ],
    },
  );
  register<UpgradeOptions>(
    vm.command('upgrade').description('Move running VMs to new processes of the installed vring'),
    'all VMs that run another version of vring',
    (actions, options) => actions.upgrade(options),
    {
      text: [
        'The guest is stopped for some milliseconds, and keeps its memory, disks, console and counters. A VM ' +
          'that cannot be moved keeps running as before, and the reason is printed. After an upgrade of vring, ' +
          'restart the manager first (vring manager restart), which keeps the VMs running.',
      ],
    },
  ).option('--force', 'also move VMs that already run this version');
}

function register<Options extends ActionOptions>(
  command: Command,
  all: string,
  action: (actions: Actions, options: Options) => Action<Engine>,
  { startsManager = false, text = [] }: { startsManager?: boolean; text?: readonly string[] } = {},
): Command {
  command
    .argument('[vm...]', 'VM names')
    .option('--all', all)
    .option(
      '--timeout <s>',
      'seconds to wait',
      text => parseCount(text, '--timeout', 1, LONGEST_TIMEOUT_SECONDS),
      TIMEOUT_SECONDS,
    )
    .option('--json', 'print JSON')
    .action(async (names: string[], options: Options) => {
      const [{ actOnEach }, { requireNames }, { leaving, managerOrNew, runningManager }, actions] =
        await Promise.all([
          import('./act.ts'),
          import('./find.ts'),
          import('./manager.ts'),
          import('./actions.ts'),
        ]);
      // Check before starting a manager.
      requireNames(names, options);
      const inMilliseconds = { ...options, timeout: options.timeout * 1000 };
      const engine = await (startsManager ? managerOrNew() : runningManager());
      process.exitCode = await leaving(engine, each =>
        actOnEach(each, names, options, action(actions, inMilliseconds)),
      );
    });
  return withManual(command, { text, json: JSON_KEYS });
}
