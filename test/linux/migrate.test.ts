import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { MigrationHost } from '../support/migration-hosts.ts';
import { Random } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { CHUNK, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

const MIGRATIONS = 4;
const SEED = 22;

describe.skipIf(missing !== null)("Linux on this machine's KVM", () => {
  test('migrates there and back, with 2 vCPUs, in the middle of its disk I/O', {
    timeout: 300_000,
  }, async () => {
    const folder = temporaryFolder();
    const { kernel, initrd } = await makeLinux(folder, 'rounds.c');
    const disk = join(folder, 'disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 8 * CHUNK);
    const hosts = await Promise.all(['alpha', 'beta'].map(name => MigrationHost.start(folder, name)));
    let [here, there] = [hosts[0]!, hosts[1]!];
    await here.engine.start({
      name: 'linux',
      cpus: 2,
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet' },
      devices: [{ type: 'virtio-blk', path: disk }],
    });
    let output = '';
    let changed = () => {};
    /** The console replays what was printed before. */
    const follow = (engine: RemoteEngine) => {
      output = '';
      engine.subscribe(() => changed());
      engine.openConsole('linux', {
        printed: bytes => {
          output += Buffer.from(bytes).toString('latin1');
          changed();
        },
      });
    };
    follow(here.engine);
    const rounds = () =>
      [...output.matchAll(/guest: round ([0-9a-f]+)\r?\n/g)].map(([, hex]) => parseInt(hex!, 16));
    /** For as long as it takes; a guest that finds something wrong powers off. */
    const reached = async (round: number) => {
      while (rounds().length < round) {
        const { state, reason } = here.vm('linux')!;
        if (state !== 'running') throw new Error(`it is ${state} (${reason}):\n${output.slice(-2000)}`);
        await new Promise<void>(resolve => {
          changed = resolve;
        });
      }
    };
    await reached(3);
    const random = new Random(SEED);
    for (let migration = 0; migration < MIGRATIONS; migration++) {
      await new Promise(resolve => setTimeout(resolve, random.below(300)));
      const done = rounds().length;
      await here.engine.migrate('linux', { ...there.options, maxDowntimeMs: 5000 });
      [here, there] = [there, here];
      follow(here.engine);
      await reached(done + 2);
    }
    const done = rounds();
    expect(done).toEqual(Array.from({ length: done.length }, (_, index) => index + 1));
    expect(output).not.toContain('wrong');
    await here.engine.kill('linux');
  });
});
