import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { enterOwnMounts, enterOwnNetwork } from './own-network.ts';

/**
 * A network, and folders for the files of vring as root, of this process's own and its children's: plans can be applied to it, and
 * nothing of the machine changes. Takes root.
 */
export function enterOwnHost(): void {
  enterOwnNetwork();
  enterOwnMounts();
  for (const folder of ['/run/vring', '/etc/vring', '/var/lib/vring']) {
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'none', folder]);
  }
}
