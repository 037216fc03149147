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
      'the memory to leave to the guest, such as 1G; without it, the current state is shown',
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
      'The guest gives up memory as it can, and the host gets it immediately; with a larger size, the guest ' +
        'takes memory back. The current memory shows the progress. The size applies until the VM is off, across ' +
        'reboots of its guest. Statistics are those that the guest reports.',
      'A VM with huge pages or a passed-through PCI device keeps all of its memory: a smaller size is refused.',
    ],
    json: [
      ['name', 'the VM name'],
      ['memory', "bytes of the guest's RAM"],
      ['target', 'bytes to leave to it'],
      ['current', 'bytes that it has now'],
      ['active', 'whether the guest has a driver for the balloon'],
      [
        'stats',
        'null until the guest has sent any; else `at` (milliseconds since 1970) and those that it supports of ' +
          `\`${BALLOON_STATS.join('`, `')}\``,
      ],
      ['obstacle', 'why the host does not get the pages that the guest gives up; or null'],
    ],
    examples: [
      { command: 'vring vm balloon web', does: "show the guest's memory and its statistics" },
      { command: 'vring vm balloon web 1G', does: 'leave 1 GiB to the guest' },
    ],
  });
}
