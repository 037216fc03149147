import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withOwnFolders } from '../support/manager-process.ts';
import { Random } from '../support/random.ts';
import { Survival } from '../support/survival.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { CHUNK, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

withOwnFolders();

const UPGRADES = 6;
const SEED = 21;

describe.skipIf(missing !== null)("Linux on this machine's KVM", () => {
  test('continues in other processes, with 2 vCPUs, in the middle of its disk I/O', {
    timeout: 300_000,
  }, async () => {
    const folder = temporaryFolder();
    const { kernel, initrd } = await makeLinux(folder, 'rounds.c');
    const disk = join(folder, 'disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 8 * CHUNK);
    const survival = new Survival(SEED);
    onTestFinished(() => survival[Symbol.asyncDispose]());
    await survival.startManager();
    const { engine } = survival;
    await engine.start({
      name: 'linux',
      cpus: 2,
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet' },
      devices: [{ type: 'virtio-blk', path: disk }],
    });
    let output = '';
    let changed = () => {};
    engine.subscribe(() => changed());
    engine.openConsole('linux', {
      printed: bytes => {
        output += Buffer.from(bytes).toString('latin1');
        changed();
      },
    });
    const rounds = () =>
      [...output.matchAll(/guest: round ([0-9a-f]+)\r?\n/g)].map(([, hex]) => parseInt(hex!, 16));
    /** For as long as it takes; a guest that finds something wrong powers off. */
    const reached = async (round: number) => {
      while (rounds().length < round) {
        const { state, reason } = engine.vms().find(vm => vm.name === 'linux')!;
        if (state !== 'running') throw new Error(`it is ${state} (${reason}):\n${output.slice(-2000)}`);
        await new Promise<void>(resolve => {
          changed = resolve;
        });
      }
    };
    await reached(3);
    const random = new Random(SEED);
    for (let upgrade = 0; upgrade < UPGRADES; upgrade++) {
      await new Promise(resolve => setTimeout(resolve, random.below(300)));
      await engine.upgrade('linux');
      await reached(rounds().length + 2);
    }
    const done = rounds();
    expect(done).toEqual(Array.from({ length: done.length }, (_, index) => index + 1));
    expect(output).not.toContain('wrong');
    await engine.kill('linux');
    await until(() => engine.vms().find(vm => vm.name === 'linux')?.state === 'off');
  });
});
