import { setTimeout as sleep } from 'node:timers/promises';
import type { Migrated } from '../src/engine/migration/migration-info.ts';
import type { RemoteEngine } from '../src/engine/remote/remote-engine.ts';
import { shellText } from '../src/text/shell.ts';
import { VRING } from '../test/support/sandbox.ts';
import { GUEST } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { median } from './statistics.ts';
import { VringManager } from './vring-manager.ts';

const GiB = 2 ** 30;
const ROUNDS = 6;
/** Time for the next spare process to get ready. */
const BETWEEN_MS = 1500;
/** What the guest fills with other bytes than zeros, and then goes on writing: in all of it, or in a part. */
const FILLED = '768m';
const WORKING_SET = '16m';

/**
 * How long a guest with 1 GiB, most of it filled, takes to another manager on this host, and how long it stands still,
 * idle and while it writes memory as fast as it can. Both managers and the relay between them share the CPUs.
 */
export async function measureMigrate(): Promise<Measurement[]> {
  await using first = await VringManager.start('migrate-1');
  await using second = await VringManager.start('migrate-2');
  await first.engine.start({
    name: 'web',
    memory: { bytes: GiB },
    boot: { kind: 'kernel', path: GUEST, append: `quiet run="memory ${FILLED} 1"` },
  });
  await says(first.engine, /result memory/);
  const idle = await thereAndBack(first, second);
  const console = first.engine.openConsole('web', { printed: () => {} });
  await console.takeKeyboard(true);
  console.type(Buffer.from(`memory ${WORKING_SET}\r`));
  await says(first.engine, new RegExp(`> memory ${WORKING_SET}`));
  const busy = await thereAndBack(first, second);
  const still = median(idle.map(({ downtimeMs }) => downtimeMs));
  const speed = median(idle.map(({ sent, totalMs }) => sent / totalMs / 1e6));
  return [
    {
      what: 'live migration of an idle 1 GiB VM: its guest stands still',
      unit: 'ms',
      values: { vring: still },
      target: atMost(300, 'ms', still),
    },
    {
      what: 'live migration of an idle 1 GiB VM: in all',
      unit: 'ms',
      values: { vring: median(idle.map(({ totalMs }) => totalMs)) },
    },
    { what: 'live migration of an idle 1 GiB VM: speed', unit: 'GB/s', values: { vring: speed } },
    {
      what: `live migration of a VM that writes ${WORKING_SET} all the time: its guest stands still`,
      unit: 'ms',
      values: { vring: median(busy.map(({ downtimeMs }) => downtimeMs)) },
    },
  ];
}

async function thereAndBack(first: VringManager, second: VringManager): Promise<Migrated[]> {
  const migrated: Migrated[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [from, to] = round % 2 === 0 ? [first, second] : [second, first];
    await sleep(BETWEEN_MS);
    const command = `exec ${shellText([...to.environment, VRING, 'vm', 'receive'])}`;
    migrated.push(
      await from.engine.migrate('web', { destination: 'the other manager', command, maxDowntimeMs: 1000 }),
    );
  }
  return migrated;
}

/** Resolves once the guest has printed this. */
async function says(engine: RemoteEngine, pattern: RegExp): Promise<void> {
  let output = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  const link = engine.openConsole('web', {
    printed: bytes => {
      output += Buffer.from(bytes).toString('latin1');
      if (pattern.test(output)) resolve();
    },
  });
  await promise;
  link.close();
}
