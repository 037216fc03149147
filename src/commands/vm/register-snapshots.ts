import type { Command } from 'commander';
import { type Manual, withManual } from '../manual.ts';
import type {
  DeleteSnapshotOptions,
  RestoreOptions,
  SnapshotOptions,
  SnapshotsOptions,
} from './snapshots.ts';

/** The keys of a `SnapshotInfo`. */
const SNAPSHOT_FACTS =
  '`vm`, `name` (null: a saved state), `createdAt` (milliseconds since 1970; null if the snapshot cannot be ' +
  'read), `bytes` (on disk), `memoryBytes` (of the VM), `parent` (the snapshot before it), `disks` (`copied`: it ' +
  'contains copies of the writable disks; `outside`: it depends on the unchanged disks; `none`: the VM has ' +
  'none), `paused` (whether the VM was), `vring` (the version that wrote it), `problems` (why it cannot be ' +
  'restored, a sentence each), `doubtful` (files that were copied or changed since, whose checksums a restore ' +
  'compares first), `checked` (`ok`, `damaged`; null without --check)';

const JSON_KEYS: NonNullable<Manual['json']> = [['snapshots', SNAPSHOT_FACTS]];

/** The commands on snapshots. */
export function registerSnapshots(vm: Command): void {
  registerTake(vm);
  registerList(vm);
  registerRestore(vm);
  registerDelete(vm);
}

function registerTake(vm: Command): void {
  const command = vm
    .command('snapshot')
    .argument('<vm>', 'a running or paused VM')
    .argument('[name]', 'the name of the snapshot (default: the date and time)')
    .description('Take a snapshot of a VM')
    .option('--disks', 'copy its writable disks too')
    .option('--quiesce', "freeze the guest's file systems in the meantime, through the guest agent")
    .option('--json', 'print JSON')
    .action(async (name: string, snapshot: string | undefined, options: SnapshotOptions) => {
      const { takeSnapshot } = await import('./snapshots.ts');
      const { leaving, runningManager } = await import('./manager.ts');
      process.exitCode = await leaving(await runningManager(), engine =>
        takeSnapshot(engine, name, snapshot, options),
      );
    });
  withManual(command, {
    text: [
      'The VM is stopped while its memory is written, without zero pages, and then continues. Ctrl-C cancels. ' +
        'Without --disks, a snapshot can be restored only while the disks are unchanged, so it is of little use ' +
        'for a running VM: `vring vm save` keeps the state and ends the VM. With --disks, disks are copied while ' +
        'the VM is stopped, by reflink where the file system supports it, else without their holes. With ' +
        '--quiesce, the guest first writes out all buffered data, so that the disk copies are consistent for ' +
        'other uses, too.',
    ],
    json: JSON_KEYS,
    examples: [
      {
        command: 'vring vm snapshot web before-upgrade --disks',
        does: 'a snapshot that does not depend on the current disks',
      },
    ],
  });
}

function registerList(vm: Command): void {
  const command = vm
    .command('snapshots')
    .argument('[vm]', 'only those of this VM')
    .description('List snapshots and saved states')
    .option('--check', 'compare the checksums of all; exit status 1 if any is damaged')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, options: SnapshotsOptions) => {
      const { listSnapshots } = await import('./snapshots.ts');
      const { leaving, managerOrNew } = await import('./manager.ts');
      process.exitCode = await leaving(await managerOrNew(), engine => listSnapshots(engine, name, options));
    });
  withManual(command, {
    text: [
      'If a snapshot cannot be restored now, the reason is shown: a disk that was written since, a CPU that ' +
        'lacks features, a damaged file. Snapshots of deleted VMs are listed, too.',
    ],
    json: JSON_KEYS,
  });
}

function registerRestore(vm: Command): void {
  const command = vm
    .command('restore')
    .argument('<vm>', 'VM name')
    .argument('<name>', 'the snapshot')
    .description('Restore a VM from a snapshot')
    .option('--as <new-name>', 'create a new VM, with its own copies of the disks in the snapshot')
    .option('--force', 'kill the VM first if it is running, and discard its saved state')
    .option('--json', 'print JSON')
    .action(async (name: string, snapshot: string, options: RestoreOptions) => {
      const { restoreSnapshot } = await import('./snapshots.ts');
      const { leaving, managerOrNew } = await import('./manager.ts');
      process.exitCode = await leaving(await managerOrNew(), engine =>
        restoreSnapshot(engine, name, snapshot, options),
      );
    });
  withManual(command, {
    text: [
      'The VM continues where it was, paused if it was paused, with its configuration of that time. Its ' +
        'current memory and the current contents of the disks in the snapshot are lost. Memory is read as the ' +
        'guest touches it, so the VM runs immediately. A deleted VM is defined again. A snapshot that does not ' +
        'fit is refused with the reasons.',
    ],
    json: [['name', 'the restored VM']],
    examples: [
      { command: 'vring vm restore web before-upgrade --force', does: 'go back, whatever web is doing now' },
      {
        command: 'vring vm restore web before-upgrade --as web2',
        does: 'a second VM that continues from there',
      },
    ],
  });
}

function registerDelete(vm: Command): void {
  const command = vm
    .command('delete-snapshot')
    .argument('<vm>', 'VM name; may be that of a deleted VM')
    .argument('[name...]', 'the snapshots')
    .description('Delete snapshots of a VM')
    .option('--all', 'all of its snapshots, and its saved state')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(async (name: string, snapshots: string[], options: DeleteSnapshotOptions) => {
      const { deleteSnapshots } = await import('./snapshots.ts');
      const { leaving, managerOrNew } = await import('./manager.ts');
      process.exitCode = await leaving(await managerOrNew(), engine =>
        deleteSnapshots(engine, name, snapshots, options),
      );
    });
  withManual(command, {
    text: ['A VM that was restored from one of them keeps running; the space is freed when it ends.'],
    json: [['deleted', 'the names']],
  });
}
