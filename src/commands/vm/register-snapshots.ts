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
  '`vm`, `name` (null: the state that the VM was saved to), `createdAt` (milliseconds since 1970; null if the snapshot cannot be read), ' +
  '`bytes` (on disk), `memoryBytes` (of the VM), `parent` (the snapshot before it), `disks` (`copied`: it has copies of the writable disks; `outside`: they must be as they were; `none`: there are none), ' +
  '`paused` (whether the VM was), `vring` (the version that wrote it), `problems` (why it cannot be restored, a sentence each), ' +
  '`doubtful` (files that were copied or changed since, whose checksums are compared before a restore), ' +
  '`checked` (`ok`, `damaged`; null without --check)';

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
    .argument('<vm>', 'a VM that runs or is paused')
    .argument('[name]', 'the name of the snapshot (default: the date and time)')
    .description('Take a snapshot of a VM')
    .option('--disks', 'copy its writable disks too')
    .option('--quiesce', 'have the guest agent hold file systems still meanwhile')
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
      'The VM stands still while its memory is written, without what is zero in it, and then goes on. Ctrl-C cancels. Without --disks the ' +
        'snapshot can only be restored as long as nobody writes to the disks, so for a running VM it is of little use: `vring vm save` keeps a state ' +
        'and ends the VM. With --disks, disks are copied by reflink where the file system can, else without their holes, while the VM stands still. With --quiesce the guest has written ' +
        'all that its programs had, as before it is shut down: the copies of its disks are whole for others to use, too.',
    ],
    json: JSON_KEYS,
    examples: [
      {
        command: 'vring vm snapshot web before-upgrade --disks',
        does: 'a snapshot that can always be restored',
      },
    ],
  });
}

function registerList(vm: Command): void {
  const command = vm
    .command('snapshots')
    .argument('[vm]', 'only those of this VM')
    .description('List snapshots and saved states')
    .option('--check', 'read all of them and compare their checksums; exit status 1 if any is damaged')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, options: SnapshotsOptions) => {
      const { listSnapshots } = await import('./snapshots.ts');
      const { leaving, managerOrNew } = await import('./manager.ts');
      process.exitCode = await leaving(await managerOrNew(), engine => listSnapshots(engine, name, options));
    });
  withManual(command, {
    text: [
      'Shows for each why it does not fit, if it cannot be restored now: a disk that was written since, a CPU that lacks features, a damaged ' +
        'file. Snapshots of deleted VMs are listed too.',
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
    .option(
      '--as <new-name>',
      'make a new VM of it, with its own copies of the disks that are in the snapshot',
    )
    .option('--force', 'kill the VM first if it runs, and discard its saved state')
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
      'The VM goes on where it was, paused if it was paused, with what it was made of then. What it has now is lost: its memory, and the ' +
        'contents of the disks that are in the snapshot. Memory is read as the guest touches it, so it runs at once. A deleted VM is defined ' +
        'again. A snapshot that does not fit is refused with the reasons.',
    ],
    json: [['name', 'the VM that runs now']],
    examples: [
      { command: 'vring vm restore web before-upgrade --force', does: 'go back, whatever web does now' },
      {
        command: 'vring vm restore web before-upgrade --as web2',
        does: 'a second VM that goes on from there',
      },
    ],
  });
}

function registerDelete(vm: Command): void {
  const command = vm
    .command('delete-snapshot')
    .argument('<vm>', 'VM name, also of a deleted VM')
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
    text: ['A VM that was restored from one of them goes on; the space is freed when it ends.'],
    json: [['deleted', 'the names']],
  });
}
