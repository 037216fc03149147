import type { Command } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { listCommand } from '../list-command.ts';
import { LEFT_STATUS, withManual } from '../manual.ts';
import { parseInterval } from '../top/options.ts';
import type { EventOptions } from './events.ts';
import { registerActions } from './register-actions.ts';
import { registerAgent } from './register-agent.ts';
import { registerBalloon } from './register-balloon.ts';
import { registerChanges } from './register-changes.ts';
import { registerCpus } from './register-cpus.ts';
import { registerDefinitions } from './register-definitions.ts';
import { registerDevices } from './register-devices.ts';
import { registerDisks } from './register-disks.ts';
import { registerMigration } from './register-migration.ts';
import { registerNics } from './register-nics.ts';
import { registerScreen } from './register-screen.ts';
import { registerSnapshots } from './register-snapshots.ts';
import type { StatsOptions } from './stats.ts';
import { VM_FACTS } from './vm-json.ts';
import { withVmList } from './with-vm-list.ts';

type JsonOption = { readonly json?: boolean };

/** `vring vm`: commands on VMs, by name. A command's code is loaded when it runs. */
export function registerVmCommands(program: Command): void {
  const vm = program.command('vm').description('Create, run and inspect VMs');
  registerList(vm);
  registerShow(vm);
  registerActions(vm);
  registerSnapshots(vm);
  registerMigration(vm);
  registerConsole(vm);
  registerStats(vm);
  registerEvents(vm);
  registerDefinitions(vm);
  registerChanges(vm);
  registerDisks(vm);
  registerNics(vm);
  registerDevices(vm);
  registerCpus(vm);
  registerBalloon(vm);
  registerAgent(vm);
  registerScreen(vm);
}

function registerList(vm: Command): void {
  const list = listCommand(vm)
    .description('List running and defined VMs')
    .option('--json', 'print JSON')
    .action(async (options: JsonOption) => {
      const { listVms } = await import('./list.ts');
      await withVmList(async vmList => listVms(vmList, options));
    });
  withManual(list, { json: [['vms', VM_FACTS]] });
}

function registerShow(vm: Command): void {
  const show = vm
    .command('show')
    .argument('<vm...>', 'VM names')
    .description('Show VMs in detail')
    .option('--json', 'print JSON')
    .action(async (names: string[], options: JsonOption) => {
      const { showVms } = await import('./show.ts');
      process.exitCode = await withVmList(async vmList => showVms(vmList, names, options));
    });
  withManual(show, {
    json: [
      [
        'vms',
        `${VM_FACTS}, and \`devices\`: \`all\`: { \`name\`, \`type\`, \`bus\`, \`addr\` (its place there, or null), \`address\` (as the guest sees it, or null), \`facts\` }[], \`queues\`: { \`device\`, \`type\`, \`queue\`, \`size\` }[], \`regions\`: { \`device\`, \`space\`, ` +
          '`start`, `size` }[], of the machine as of the last start; null before the first one; and ' +
          '`definedDevices`: { `name`, `type`, `bus`, `facts` }[], those of the next start',
      ],
    ],
  });
}

function registerConsole(vm: Command): void {
  const console = vm
    .command('console')
    .argument('<vm>', 'VM name')
    .description("Attach to a VM's serial console; Ctrl-] detaches")
    .option('--take', 'take the keyboard from its current holder')
    .option('--port <port>', 'the console, by name or number, of a VM with several (default: com1)')
    .action(async (name: string, options: { take?: boolean; port?: string }) => {
      const { watchConsole } = await import('./console.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine => watchConsole(engine, name, options));
    });
  withManual(console, {
    text: [
      'Any number of terminals can watch a console, but only one holds the keyboard. The last 64 KiB of output are shown first. What the guest ' +
        'prints goes to the terminal unfiltered, including escape sequences; the console in the UI uses a terminal emulator instead.',
      'Without a terminal, standard input is sent to the guest, and output is printed until the VM ends or standard output is closed.',
    ],
  });
}

function registerStats(vm: Command): void {
  const stats = vm
    .command('stats')
    .argument('[vm...]', 'VM names')
    .description('Show vCPU, VM exit and queue statistics')
    .option('--all', 'all running or paused VMs')
    .option('--watch', 'update continuously until Ctrl-C')
    .option('--interval <time>', 'sampling interval, such as 500ms or 2s (default: 1s)', parseInterval)
    .option('--json', 'print JSON; with --watch, one document per line')
    .action(async (names: string[], options: StatsOptions) => {
      const { printStats } = await import('./stats.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine => printStats(engine, names, options));
    });
  withManual(stats, {
    text: [`With --watch, ${LEFT_STATUS}`],
    json: [['vms', 'one report per VM, described in docs/report.md; with --watch, one report per line']],
  });
}

function registerEvents(vm: Command): void {
  const events = vm
    .command('events')
    .argument('[vm...]', 'only events of these VMs')
    .description("Show the last 1000 entries of the manager's log")
    .option('--follow', 'wait for new events')
    .option('--last <n>', 'only the last <n> past events', text => parseCount(text, '--last', 0, 1000))
    .option('--json', 'print JSON; with --follow, one event per line')
    .action(async (names: string[], options: EventOptions) => {
      const { printEvents } = await import('./events.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine => printEvents(engine, names, options));
    });
  withManual(events, {
    text: [`With --follow, ${LEFT_STATUS}`],
    json: [
      [
        'events',
        '`number` (counts up without gaps), `at` (milliseconds since 1970), `vm` (null: the manager itself), `level` (`info`, `warning`, ' +
          '`error`), `text`; with --follow, one event per line',
      ],
    ],
  });
}
