import type { Engine } from '../../engine/engine.ts';
import type { SnapshotInfo } from '../../engine/snapshots/snapshot-info.ts';
import { printError } from '../../text/output.ts';
import { printable } from '../../text/printable.ts';
import { bytes, uptime } from '../../text/units.ts';
import { UsageError } from '../../text/usage-error.ts';
import { outputWidth, print } from '../host/host-options.ts';
import { type Column, tableLines } from '../host/table.ts';
import { confirm, requirePrompt } from './ask.ts';
import { findVm } from './find.ts';
import { Progress } from './progress.ts';
import { withTask } from './with-task.ts';

type JsonOption = { readonly json?: boolean };
export type SnapshotOptions = JsonOption & { readonly disks?: boolean; readonly quiesce?: boolean };
export type SnapshotsOptions = JsonOption & { readonly check?: boolean };
export type RestoreOptions = JsonOption & { readonly as?: string; readonly force?: boolean };
export type DeleteSnapshotOptions = JsonOption & { readonly all?: boolean; readonly yes?: boolean };

/** @returns the exit status */
export async function takeSnapshot(
  engine: Engine,
  name: string,
  snapshot: string | undefined,
  options: SnapshotOptions,
): Promise<number> {
  const { disks = false, quiesce = false } = options;
  const vm = findVm(engine.vms(), name);
  const info = await withTask(engine, vm.id, 'taking a snapshot of', () =>
    engine.snapshot(vm.id, {
      disks,
      ...(quiesce && { quiesce }),
      ...(snapshot !== undefined && { name: snapshot }),
    }),
  );
  print(options, { snapshots: [info] }, () => [
    `${name}: snapshot ${info.name} taken (${bytes(info.bytes)})`,
  ]);
  if (info.disks === 'outside' && !options.json)
    printError(
      `vring: the snapshot does not include the disks of ${name}: it can only be restored until they are written to; --disks copies them`,
    );
  return 0;
}

/** @returns the exit status: 1 if one is damaged */
export async function listSnapshots(
  engine: Engine,
  name: string | undefined,
  { check = false, json = false }: SnapshotsOptions,
): Promise<number> {
  const progress = new Progress(() => 'comparing checksums');
  let infos: readonly SnapshotInfo[];
  try {
    infos = await engine.snapshots(name ?? null, { check });
  } finally {
    progress.end();
  }
  // A name without snapshots may be a typo.
  if (name !== undefined && infos.length === 0) findVm(engine.vms(), name);
  print({ json }, { snapshots: infos }, () => snapshotTable(infos, outputWidth(), Date.now()));
  return infos.some(({ checked }) => checked === 'damaged') ? 1 : 0;
}

export function snapshotTable(infos: readonly SnapshotInfo[], cells: number, now: number): string[] {
  if (infos.length === 0) return ['no snapshots yet; take one with vring vm snapshot VM'];
  const checked = infos.some(info => info.checked !== null);
  const columns: Column<SnapshotInfo>[] = [
    { title: 'VM', text: ({ vm }) => vm, least: 8 },
    { title: 'SNAPSHOT', text: ({ name }) => name ?? '(saved state)', least: 8 },
    {
      title: 'AGE',
      text: ({ createdAt }) => (createdAt === null ? '' : uptime(now - createdAt)),
      align: 'right',
    },
    { title: 'SIZE', text: info => bytes(info.bytes), align: 'right' },
    {
      title: 'MEMORY',
      text: ({ memoryBytes }) => (memoryBytes === null ? '' : bytes(memoryBytes)),
      align: 'right',
      rank: 2,
    },
    { title: 'DISKS', text: ({ disks }) => (disks === 'none' ? '' : disks), rank: 2 },
    { title: 'PARENT', text: ({ parent }) => parent ?? '', rank: 3 },
    ...(checked ? [{ title: 'CHECK', text: (info: SnapshotInfo) => info.checked ?? '' }] : []),
    { title: 'NOTE', text: ({ problems }) => printable(problems.join('; ')), least: 12, rank: 1 },
  ];
  return tableLines(infos, columns, cells);
}

/** @returns the exit status */
export async function restoreSnapshot(
  engine: Engine,
  name: string,
  snapshot: string,
  options: RestoreOptions,
): Promise<number> {
  const { as, force } = options;
  const restored = await withTask(engine, as ?? name, 'restoring', () =>
    engine.restore(name, snapshot, { ...(as !== undefined && { as }), ...(force && { force }) }),
  );
  const paused = engine.vms().find(vm => vm.id === restored)?.state === 'paused';
  const what = paused ? 'restored, and paused as it was' : 'restored';
  print(options, { name: restored }, () => [`${restored}: ${what}`]);
  return 0;
}

/** @returns the exit status: 1 if nothing was deleted */
export async function deleteSnapshots(
  engine: Engine,
  name: string,
  snapshots: readonly string[],
  options: DeleteSnapshotOptions,
): Promise<number> {
  const { all = false, yes = false } = options;
  if (all === snapshots.length > 0)
    throw new UsageError(
      all ? '--all cannot be combined with names' : 'expected the name of a snapshot or --all',
    );
  const wanted = all ? (await engine.snapshots(name, { check: false })).map(info => info.name) : snapshots;
  if (wanted.length === 0) throw new Error(`${printable(name)} has no snapshots`);
  const titles = wanted.map(each => each ?? 'its saved state');
  if (!yes) {
    requirePrompt('use --yes to delete without asking');
    if (!(await confirm(`Delete ${titles.join(', ')} of ${printable(name)}?`, false))) {
      printError('vring: nothing was deleted');
      return 1;
    }
  }
  for (const each of wanted) await engine.deleteSnapshot(name, each);
  print(options, { deleted: wanted }, () => titles.map(each => `${name}: deleted ${each}`));
  return 0;
}
