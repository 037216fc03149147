import type { Command } from 'commander';
import { version } from '../project-root.ts';
import { printData, printLines } from '../text/output.ts';
import { withManual } from './manual.ts';
import type { VersionFacts } from './version-facts.ts';

/** `vring version`: the versions of vring and of what it runs on. */
export function registerVersion(program: Command): void {
  const command = program
    .command('version')
    .description('Show versions of vring, the manager, Node, the kernel and KVM')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { versionFacts } = await import('./version-facts.ts');
      const facts = await versionFacts(version());
      if (json) printData({ version: 1, ...facts });
      else printLines(...versionLines(facts));
    });
  withManual(command, {
    json: [
      ['vring', 'version of this vring'],
      ['node', 'version of Node'],
      ['kernel', "version of the host's kernel"],
      ['kvm', '`api`: KVM API version, or null; `problem`: why KVM cannot be used, or null'],
      ['manager', '`pid`, `version`, `startedAt` (milliseconds since 1970) of the running manager, or null'],
      ['vms', 'VMs that run another version: `name`, `version`'],
    ],
  });
}

/** What to do about VMs of another version. */
function upgradeHint(manager: string, installed: string): string {
  const upgrade = 'vring vm upgrade --all hands them to this version while they run';
  return manager === installed ? upgrade : `${upgrade}, after vring manager restart`;
}

function versionLines({ vring, node, kernel, kvm, manager, vms }: VersionFacts): string[] {
  return [
    `vring  ${vring}`,
    `node   ${node}`,
    `linux  ${kernel}`,
    `kvm    ${kvm.api === null ? kvm.problem : `API ${kvm.api}`}`,
    manager === null
      ? 'manager  none'
      : `manager  ${manager.version}, process ${manager.pid}, since ${new Date(manager.startedAt).toISOString()}`,
    ...vms.map(vm => `VM     ${vm.name} runs vring ${vm.version}`),
    ...(vms.length === 0 ? [] : [upgradeHint(manager?.version ?? vring, vring)]),
  ];
}
