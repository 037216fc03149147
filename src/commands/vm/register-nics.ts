import { type Command, Option } from 'commander';
import { parseCount, parseSize } from '../../text/option-values.ts';
import { UsageError } from '../../text/usage-error.ts';
import { withManual } from '../manual.ts';
import { leaving, runningManager } from './manager.ts';
import type { NicLimitOptions } from './nics.ts';

const MOST = 2 ** 50;

/** The commands that change a network card of a running VM. */
export function registerNics(vm: Command): void {
  registerLink(vm);
  registerLimit(vm);
}

function registerLink(vm: Command): void {
  const command = vm
    .command('link')
    .argument('<vm>', 'a running or paused VM')
    .argument('<nic>', 'the name of a network card, as in vring vm show: net0')
    .argument('[state]', 'up or down; prints the current state if omitted')
    .description('Show or set the link of a network card')
    .option('--json', 'print JSON')
    .action(async (name: string, nic: string, state: string | undefined, options: { json?: boolean }) => {
      if (state !== undefined && state !== 'up' && state !== 'down')
        throw new UsageError(`a link is up or down, not "${state}"`);
      const { linkNic } = await import('./nics.ts');
      await leaving(await runningManager(), engine => linkNic(engine, name, nic, state ?? null, options));
    });
  withManual(command, {
    text: [
      'While the link is down, packets are dropped in both directions, and the guest sees an unplugged cable. ' +
        'The state lasts until the VM is off; `link` in its definition applies at every start.',
    ],
    json: [
      ['name', 'the VM name'],
      ['nic', "the card's name"],
      ['link', '`up` or `down`'],
    ],
    examples: [
      { command: 'vring vm link web net0 down', does: 'take the card off the network' },
      { command: 'vring vm link web net0', does: 'show its link' },
    ],
  });
}

function registerLimit(vm: Command): void {
  const count = (option: string) => (text: string) => parseCount(text, option, 1, MOST);
  const bytes = (option: string) => (text: string) => parseSize(text, option);
  const command = vm
    .command('limit-nic')
    .argument('<vm>', 'VM name')
    .argument('<nic>', 'the name of a network card, as in vring vm show: net0')
    .description('Show or set the rate limits of a network card');
  for (const [side, what] of [
    ['rx', 'received'],
    ['tx', 'sent'],
  ] as const) {
    command
      .option(`--${side}-pps <n>`, `packets ${what} per second`, count(`--${side}-pps`))
      .option(`--${side}-pps-burst <n>`, 'most at once, after an idle period', count(`--${side}-pps-burst`))
      .option(`--${side}-bps <size>`, `bytes ${what} per second, such as 50M`, bytes(`--${side}-bps`))
      .option(
        `--${side}-bps-burst <size>`,
        'most at once, after an idle period',
        bytes(`--${side}-bps-burst`),
      );
  }
  command
    .addOption(new Option('--none', 'remove the limits'))
    .option('--persist', 'also set them in the definition; if the VM is off, only there')
    .option('--json', 'print JSON')
    .action(async (name: string, nic: string, options: NicLimitOptions) => {
      const { limitNic } = await import('./nics.ts');
      const { devicesOfVm } = await import('./vm-devices.ts');
      await leaving(await devicesOfVm(name), devices => limitNic(devices, name, nic, options));
    });
  withManual(command, {
    text: [
      'Replaces all limits of the card until the VM is off, or with --persist at every start (`limits` in its ' +
        "definition). Received and sent are from the guest's point of view. Packets beyond a limit wait on the " +
        'host or in the guest.',
    ],
    json: [
      ['name', 'the VM name'],
      ['nic', "the card's name"],
      ['limits', 'in words; `none` without any'],
    ],
    examples: [
      { command: 'vring vm limit-nic web net0 --tx-bps 12M', does: '100 Mbit/s of what the guest sends' },
      { command: 'vring vm limit-nic web net0 --rx-pps 10000', does: '10,000 received packets per second' },
      { command: 'vring vm limit-nic web net0 --none', does: 'no limits' },
    ],
  });
}
