import { type Command, Option } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { CpusOptions } from './cpus.ts';
import { WAIT_SECONDS } from './detach-wait.ts';
import { leaving } from './manager.ts';

const A_DAY = 86_400;
const MOST = 64;

/** `vring vm cpus`. */
export function registerCpus(vm: Command): void {
  const seconds = (text: string) => parseCount(text, '--wait', 0, A_DAY);
  const command = vm
    .command('cpus')
    .alias('setvcpus')
    .argument('<vm>', 'VM name')
    .argument('[count]', 'the number of vCPUs; without it, the current state is shown', text =>
      parseCount(text, 'count', 1, MOST),
    )
    .description('Show or set the number of vCPUs of a VM while it runs, or in its definition')
    .option('--wait <seconds>', 'seconds to wait for the guest; 0: do not wait', seconds, WAIT_SECONDS)
    .addOption(new Option('--cancel', 'withdraw the requests to release vCPUs').conflicts('persist'))
    .option('--persist', 'also change the definition')
    .option('--json', 'print JSON')
    .action(async (name: string, count: number | undefined, options: CpusOptions) => {
      const { cpus } = await import('./cpus.ts');
      const { devicesOfVm } = await import('./vm-devices.ts');
      process.exitCode = await leaving(await devicesOfVm(name), engine =>
        cpus(engine, name, count ?? null, options),
      );
    });
  withManual(command, {
    text: [
      'A VM has room for as many vCPUs as cpus.maxcpus in its definition says. A running guest is notified of new ' +
        'ones by ACPI; Linux has to put them online unless a udev rule does: echo 1 > ' +
        '/sys/devices/system/cpu/cpu1/online. To remove some, the guest is asked to release the last ones, which it ' +
        'may refuse. vCPU 0 always stays. The number applies until the VM is off, across guest reboots, and is part ' +
        'of snapshots; with --persist, it applies at every start. In a VM that is off, the definition is changed.',
      'The exit status is 1 if the guest has not done its part in time; it may still do so later.',
    ],
    json: [
      ['name', 'the VM name'],
      ['vcpus', 'the number of vCPUs that it has, or will have at its next start'],
      ['maximum', 'the number that it has room for'],
      ['present', 'the numbers of its vCPUs; empty if it does not run'],
      ['adding', 'those that the guest has not taken up'],
      ['removing', 'those that the guest was asked to release'],
      ['done', 'whether the guest has done its part'],
    ],
    examples: [
      { command: 'vring vm cpus web', does: 'show how many vCPUs web has' },
      { command: 'vring vm cpus web 4', does: 'add vCPUs until it has 4, or remove the others' },
      { command: 'vring vm cpus web 4 --persist', does: 'the same, also at every start' },
    ],
  });
}
