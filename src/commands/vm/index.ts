import type { Command } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { listCommand } from '../list-command.ts';
import { LEFT_STATUS, withManual } from '../manual.ts';
import { parseInterval } from '../top/options.ts';
import type { EventOptions } from './events.ts';
import { registerActions } from './register-actions.ts';
import { registerChanges } from './register-changes.ts';
import { registerDefinitions } from './register-definitions.ts';
import type { StatsOptions } from './stats.ts';
import { VM_FACTS } from './vm-json.ts';
import { withVmList } from './with-vm-list.ts';

type JsonOption = { readonly json?: boolean };

/** `vring vm`: the VMs, by name. What a command does is loaded when it runs. */
export function registerVmCommands(program: Command): void {
  const vm = program.command('vm').description('VMs: make them, run them, look at them');
  registerList(vm);
  registerShow(vm);
  registerActions(vm);
  registerConsole(vm);
  registerStats(vm);
  registerEvents(vm);
  registerDefinitions(vm);
  registerChanges(vm);
}

function registerList(vm: Command): void {
  const list = listCommand(vm)
    .description('All VMs, one a line: those that run, and those that are defined')
    .option('--json', 'as JSON')
    .action(async (options: JsonOption) => {
      const { listVms } = await import('./list.ts');
      await withVmList(async vmList => listVms(vmList, options));
    });
  withManual(list, { json: [['vms', VM_FACTS]] });
}

function registerShow(vm: Command): void {
  const show = vm
    .command('show')
    .argument('<vm...>', 'names of VMs')
    .description('Everything about VMs')
    .option('--json', 'as JSON')
    .action(async (names: string[], options: JsonOption) => {
      const { showVms } = await import('./show.ts');
      process.exitCode = await withVmList(async vmList => showVms(vmList, names, options));
    });
  withManual(show, {
    json: [
      [
        'vms',
        `${VM_FACTS}, and \`devices\`: \`queues\`: { \`device\`, \`type\`, \`queue\`, \`size\` }[], \`regions\`: { \`device\`, \`space\`, ` +
          '`start`, `size` }[], of the machine as it was last built; null before that',
      ],
    ],
  });
}

function registerConsole(vm: Command): void {
  const console = vm
    .command('console')
    .argument('<vm>', 'name of the VM')
    .description("Join a VM's serial console; Ctrl-] leaves")
    .option('--take', 'take the keyboard from whoever types there')
    .action(async (name: string, options: { take?: boolean }) => {
      const { watchConsole } = await import('./console.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine => watchConsole(engine, name, options));
    });
  withManual(console, {
    text: [
      'Any number of terminals may watch a console, and one types; the others are told who. The last 64 KiB come first. What the guest ' +
        'prints goes to the terminal as it is, escape sequences included; the console of the UI shows it through a terminal emulator instead.',
      'Without a terminal, standard input is typed, and the output is printed until the VM ends or standard output is closed.',
    ],
  });
}

function registerStats(vm: Command): void {
  const stats = vm
    .command('stats')
    .argument('[vm...]', 'names of VMs')
    .description('What VMs do: vCPUs, exits by reason and address, queues')
    .option('--all', 'every VM that runs')
    .option('--watch', 'again and again, until Ctrl-C')
    .option('--interval <time>', 'measured over this long: 500ms, 2s (default: 1s)', parseInterval)
    .option('--json', 'as JSON; with --watch one document a line')
    .action(async (names: string[], options: StatsOptions) => {
      const { printStats } = await import('./stats.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine => printStats(engine, names, options));
    });
  withManual(stats, {
    text: [`With --watch it goes on. ${LEFT_STATUS}`],
    json: [['vms', 'a report each, as docs/report.md has it; with --watch, a line is one such report']],
  });
}

function registerEvents(vm: Command): void {
  const events = vm
    .command('events')
    .argument('[vm...]', 'only of these VMs')
    .description('What has happened: the last 1000 entries of the log of the manager')
    .option('--follow', 'and what happens from now on')
    .option('--last <n>', 'only so many of the past', text => parseCount(text, '--last', 0, 1000))
    .option('--json', 'as JSON; with --follow one event a line')
    .action(async (names: string[], options: EventOptions) => {
      const { printEvents } = await import('./events.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine => printEvents(engine, names, options));
    });
  withManual(events, {
    text: [`With --follow it goes on. ${LEFT_STATUS}`],
    json: [
      [
        'events',
        '`number` (counts up without gaps), `at` (milliseconds since 1970), `vm` (null: the manager itself), `level` (`info`, `warning`, ' +
          '`error`), `text`; with --follow, a line is one such event',
      ],
    ],
  });
}
