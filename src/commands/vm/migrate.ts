import type { Engine } from '../../engine/engine.ts';
import { bytes } from '../../text/units.ts';
import { UsageError } from '../../text/usage-error.ts';
import { print } from '../host/host-options.ts';
import { findVm } from './find.ts';
import { withTask } from './with-task.ts';

export type MigrateOptions = {
  readonly as?: string;
  readonly keep?: boolean;
  readonly bandwidth?: number;
  readonly maxDowntime?: number;
  readonly timeout?: number;
  readonly thenPause?: boolean;
  readonly command?: string;
  readonly cancel?: boolean;
  readonly json?: boolean;
};

/** @returns the exit status */
export async function migrate(
  engine: Engine,
  name: string,
  host: string | undefined,
  options: MigrateOptions,
): Promise<number> {
  const vm = findVm(engine.vms(), name);
  if (options.cancel) {
    if (vm.task?.kind !== 'migrate') throw new Error(`${name} is not being migrated`);
    await engine.cancelTask(vm.id);
    print(options, { canceled: name }, () => [`${name}: canceled; it keeps running on this host`]);
    return 0;
  }
  const { as, keep, bandwidth, maxDowntime, timeout, thenPause, command } = options;
  if (thenPause && timeout === undefined) throw new UsageError('--then-pause needs --timeout');
  const destination = host ?? (command === undefined ? undefined : 'the other host');
  if (destination === undefined) throw new UsageError('expected the host to which it should move');
  const sshAgent = process.env.SSH_AUTH_SOCK;
  const migrated = await withTask(engine, vm.id, 'migrating', () =>
    engine.migrate(vm.id, {
      destination,
      ...(command !== undefined && { command }),
      ...(sshAgent && { sshAgent }),
      ...(as !== undefined && { as }),
      ...(keep && { keep }),
      ...(bandwidth !== undefined && { bandwidth }),
      ...(maxDowntime !== undefined && { maxDowntimeMs: Math.round(maxDowntime) }),
      ...(timeout !== undefined && { timeoutMs: Math.round(timeout) }),
      ...(thenPause && { thenPause }),
    }),
  );
  const { totalMs, downtimeMs, sent, rounds } = migrated;
  const renamed = migrated.name === name ? '' : ` as ${migrated.name}`;
  print(options, migrated, () => [
    `${name}: migrated to ${destination}${renamed} in ${(totalMs / 1000).toFixed(1)} s: ` +
      `${bytes(sent)} in ${rounds} rounds; its guest stood still for ${Math.round(downtimeMs)} ms`,
  ]);
  return 0;
}
