import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { enterOwnMounts, enterOwnNetwork } from './own-network.ts';

/**
 * A separate network, and folders for vring's files as root, for this process and its children: plans can be applied to
 * it without changing the machine. Requires root.
 */
export function enterOwnHost(): void {
  enterOwnNetwork();
  enterOwnMounts();
  for (const folder of ['/run/vring', '/etc/vring', '/var/lib/vring']) {
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'none', folder]);
  }
}
