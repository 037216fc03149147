import type { Command } from 'commander';
import { BALLOON_STATS } from '../../devices/virtio/balloon/facts.ts';
import { parseSize } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { BalloonOptions } from './balloon.ts';
import { leaving, runningManager } from './manager.ts';

/** `vring vm balloon`. */
export function registerBalloon(vm: Command): void {
  const command = vm
    .command('balloon')
    .argument('<vm>', 'a running or paused VM with a balloon')
    .argument(
      '[size]',
      'the memory that the guest is to keep, such as 1G; without it, the present state is shown',
    )
    .description("Show or set how much memory a VM's balloon leaves to the guest")
    .option('--json', 'print JSON')
    .action(async (name: string, size: string | undefined, options: BalloonOptions) => {
      const target = size === undefined ? null : parseSize(size, 'size');
      const { balloon } = await import('./balloon.ts');
      await leaving(await runningManager(), engine => balloon(engine, name, target, options));
    });
  withManual(command, {
    text: [
      'The guest gives up memory as it can, and the host gets it at once; it takes back what a larger size allows. How far it is, is its current ' +
        'memory. The size holds until the VM is off, across reboots of its guest. Statistics are what the guest says of its memory.',
      'Memory with huge pages, and that of a VM with a PCI device of the host, stays with the VM: a smaller size is refused.',
    ],
    json: [
      ['name', 'the VM name'],
      ['memory', "bytes of the guest's RAM"],
      ['target', 'bytes that it is to keep'],
      ['current', 'bytes that it keeps now'],
      ['active', 'whether the guest has a driver for the balloon'],
      [
        'stats',
        `null until the guest has sent any; else \`at\` (milliseconds since 1970) and those it has of \`${BALLOON_STATS.join('`, `')}\``,
      ],
      ['obstacle', 'why pages that the guest gives up stay with the VM; null: the host gets them'],
    ],
    examples: [
      { command: 'vring vm balloon web', does: 'what the guest has, and what it does with it' },
      { command: 'vring vm balloon web 1G', does: 'leave it 1 GiB' },
    ],
  });
}
