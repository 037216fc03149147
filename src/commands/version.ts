import type { Command } from 'commander';
import { version } from '../project-root.ts';
import { printData, printLines } from '../text/output.ts';
import { withManual } from './manual.ts';
import type { VersionFacts } from './version-facts.ts';

/** `vring version`: vring, and what it runs on. */
export function registerVersion(program: Command): void {
  const command = program
    .command('version')
    .description('Show the versions of vring, its manager, Node, the kernel and KVM')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { versionFacts } = await import('./version-facts.ts');
      const facts = await versionFacts(version());
      if (json) printData({ version: 1, ...facts });
      else printLines(...versionLines(facts));
    });
  withManual(command, {
    json: [
      ['vring', 'the version of this vring'],
      ['node', 'the version of Node that runs it'],
      ['kernel', "the host's kernel"],
      ['kvm', '`api`: the version of the KVM API, or null; `problem`: why KVM can not be used, or null'],
      [
        'manager',
        '`pid`, `version`, `startedAt` (milliseconds since 1970) of the process that runs the VMs; null when there is none',
      ],
    ],
  });
}

function versionLines({ vring, node, kernel, kvm, manager }: VersionFacts): string[] {
  return [
    `vring  ${vring}`,
    `node   ${node}`,
    `linux  ${kernel}`,
    `kvm    ${kvm.api === null ? kvm.problem : `API ${kvm.api}`}`,
    manager === null
      ? 'manager  none'
      : `manager  ${manager.version}, process ${manager.pid}, since ${new Date(manager.startedAt).toISOString()}`,
  ];
}
