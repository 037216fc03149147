import { afterEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { connect } from '../../src/manager/connect.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { PtyProgram } from '../support/pty-program.ts';
import { holdingsOf, Sandbox, VRING } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GUESTS = 64;
/** `npm run soak` takes the time that it takes to find small leaks, too. */
const isLong = process.env.VRING_SOAK_ROUNDS !== undefined;
const SOAK_MS = isLong ? 120_000 : 30_000;
const STARTS = isLong ? 1000 : 250;
/** Starts after which caches and heaps have the size that they keep. */
const WARM_UP = isLong ? 100 : 50;
/**
 * What allocators keep for threads that have ended moves up and down by some tens of MiB. A VM's counters alone, leaked a thousand
 * times, are more than this.
 */
const HEAP_NOISE_MIB = 72;

const engines: Engine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) {
    await Promise.allSettled(engine.vms().map(vm => engine.kill(vm.id)));
    await engine.close();
  }
});

/** A manager in which the first of `names` runs. */
async function ownerOf(
  names: readonly string[],
  append: string,
): Promise<{ engine: Engine; sandbox: Sandbox }> {
  const sandbox = new Sandbox(temporaryFolder());
  for (const name of names) sandbox.define(name, append);
  await sandbox.vring('vm', 'start', names[0]!);
  Object.assign(process.env, sandbox.env);
  const engine = (await connect())!;
  engines.push(engine);
  return { engine, sandbox };
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

describe.skipIf(noKvm !== null)(onKvm('a manager in long use'), () => {
  test('runs 64 guests while screens are switched', { timeout: 400_000 }, async () => {
    const names = Array.from({ length: GUESTS }, (_, index) => `guest${String(index).padStart(2, '0')}`);
    const { engine, sandbox } = await ownerOf(names, 'quiet run="demo 600s"');
    await engine.kill(names[0]!);
    await engine.restart(names[0]!);
    await engine.kill(names[0]!);
    // The thread that is kept warm for the next VM is there as well then.
    await pause(2000);
    const before = holdingsOf(engine.manager.pid);
    for (const name of names) await engine.restart(name);

    await using ui = new PtyProgram([VRING], { env: sandbox.env, columns: 120, rows: 40 });
    await ui.shows('guest00');
    const until = performance.now() + SOAK_MS;
    const keys = [
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '1',
      'j',
      '\r',
      '\t',
      '\t',
      '\t',
      '\t',
      '\t',
      '\x1b',
      'G',
      'g',
    ];
    for (let turn = 0; performance.now() < until; turn++) {
      ui.type(keys[turn % keys.length]!);
      await pause(200);
    }
    ui.type('\x1b');
    await pause(300);
    ui.type('1');
    await ui.shows('guest00');
    expect(engine.vms().filter(vm => vm.state !== 'running')).toEqual([]);

    await Promise.all(names.map(name => engine.kill(name)));
    await ui.hangUp();
    await pause(2000);
    const after = holdingsOf(engine.manager.pid);
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    expect(after.fds).toBeLessThanOrEqual(before.fds);
  });

  test('uses the same resources after hundreds of starts and stops', { timeout: 600_000 }, async () => {
    const { engine } = await ownerOf(['guest'], 'quiet');
    const cycle = async () => {
      await engine.kill('guest');
      await engine.restart('guest');
    };
    for (let i = 0; i < WARM_UP; i++) await cycle();
    const before = holdingsOf(engine.manager.pid);
    for (let i = 0; i < STARTS; i++) await cycle();
    const after = holdingsOf(engine.manager.pid);
    expect(after.threads).toBeLessThanOrEqual(before.threads + 1);
    expect(after.fds).toBeLessThanOrEqual(before.fds + 2);
    expect(after.residentMiB - before.residentMiB).toBeLessThan(HEAP_NOISE_MIB);
  });
});
