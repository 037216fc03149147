import type { Command } from 'commander';
import type { Engine } from '../../engine/engine.ts';
import { parseCount } from '../../text/option-values.ts';
import { type Manual, withManual } from '../manual.ts';
import type { Action } from './act.ts';
import type { ActionOptions, StartOptions, StopOptions } from './actions.ts';

const TIMEOUT_SECONDS = 60;
const LONGEST_TIMEOUT_SECONDS = 24 * 3600;

type Actions = typeof import('./actions.ts');

const JSON_KEYS: NonNullable<Manual['json']> = [
  [
    'vms',
    'in the order of the names: `name`, `ok`, `result` (what has happened, in words; null after an error), `error` (null when all is well), ' +
      '`state` (afterwards; null for a VM that is not there)',
  ],
];

/** What is done to VMs, several at once. */
export function registerActions(vm: Command): void {
  register<StartOptions>(
    vm.command('start').description('Start VMs; those that run already are left alone'),
    'every VM that is off and can be started',
    (actions, options) => actions.start(options),
    { startsManager: true, text: ['Where no process owns VMs, one is started in the background.'] },
  ).option('--wait', 'until they have ended again: 1 when one of them crashed');

  register<StopOptions>(
    vm.command('stop').description('Press the ACPI power button of VMs, and wait until they are off'),
    'every VM that runs',
    (actions, options) => actions.stop(options),
    {
      text: [
        'A guest that does not shut down within the time limit is left running, unless --force is given.',
      ],
    },
  )
    .option('--force', 'kill those that are not off by then, and say so')
    .option('--no-wait', 'only press the button')
    .option('--wait', 'until they are off (the default)');

  register<ActionOptions>(
    vm.command('kill').description('End VMs at once, as if their power was cut'),
    'every VM that runs',
    (actions, options) => actions.kill(options),
  );
  register<ActionOptions>(
    vm.command('reset').description('Press the reset button of VMs'),
    'every VM that runs',
    (actions, options) => actions.reset(options),
  );
  register<ActionOptions>(
    vm.command('pause').description('Stop the vCPUs of VMs'),
    'every VM that is running',
    (actions, options) => actions.pause(options),
  );
  register<ActionOptions>(
    vm.command('resume').description('Let the vCPUs of paused VMs go on'),
    'every VM that is paused',
    (actions, options) => actions.resume(options),
  );
}

function register<Options extends ActionOptions>(
  command: Command,
  all: string,
  action: (actions: Actions, options: Options) => Action<Engine>,
  { startsManager = false, text = [] }: { startsManager?: boolean; text?: readonly string[] } = {},
): Command {
  command
    .argument('[vm...]', 'names of VMs')
    .option('--all', all)
    .option(
      '--timeout <s>',
      'seconds to wait',
      text => parseCount(text, '--timeout', 1, LONGEST_TIMEOUT_SECONDS),
      TIMEOUT_SECONDS,
    )
    .option('--json', 'as JSON')
    .action(async (names: string[], options: Options) => {
      const [{ actOnEach }, { requireNames }, { leaving, managerOrNew, runningManager }, actions] =
        await Promise.all([
          import('./act.ts'),
          import('./find.ts'),
          import('./manager.ts'),
          import('./actions.ts'),
        ]);
      // Before a manager is started for it.
      requireNames(names, options);
      const inMilliseconds = { ...options, timeout: options.timeout * 1000 };
      const engine = await (startsManager ? managerOrNew() : runningManager());
      process.exitCode = await leaving(engine, each =>
        actOnEach(each, names, options, action(actions, inMilliseconds)),
      );
    });
  return withManual(command, { text, json: JSON_KEYS });
}
