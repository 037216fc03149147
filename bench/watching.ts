import { join } from 'node:path';
import type { Engine } from '../src/engine/engine.ts';
import { connect } from '../src/manager/connect.ts';
import { PtyProgram } from '../test/support/pty-program.ts';
import { Sandbox, VRING } from '../test/support/sandbox.ts';
import { cpuMs, sleep } from './cpu-time.ts';
import { workDirectory } from './guest.ts';
import { atLeast, atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const SPIN_MS = 12_000;
const EDGE_MS = 1000;
const WARM_UP_MS = 15_000;
const VM = 'watched';

/** The cost of watching a guest's screen at 1 Hz: CPU time of the UI and of the manager, and the guest's slowdown. */
export async function measureWatching(): Promise<Measurement[]> {
  const sandbox = new Sandbox(join(workDirectory, 'watching'));
  Object.assign(process.env, sandbox.env);
  sandbox.define(VM);
  await sandbox.vring('vm', 'start', VM);
  const engine = (await connect())!;
  const manager = engine.manager.pid;
  const cpu = { watched: [] as number[], alone: [] as number[] };
  try {
    const loops = await alternate(ROUNDS, {
      watched: async () => {
        await using ui = new PtyProgram([VRING], { env: sandbox.env });
        await ui.shows(VM);
        ui.type('\r');
        // Excludes the first seconds, while code is still being compiled.
        await sleep(WARM_UP_MS);
        return await spin(engine, () => cpuMs(manager) + cpuMs(ui.pid), cpu.watched);
      },
      alone: () => spin(engine, () => cpuMs(manager), cpu.alone),
    });
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const share = mean(cpu.watched) - mean(cpu.alone);
    const ratio = loops.watched / loops.alone;
    return [
      {
        what: 'watching at 1 Hz: CPU',
        unit: '% of a core',
        values: { vring: share },
        target: atMost(1, '% of a core', share),
      },
      {
        what: "watching at 1 Hz: the guest's loop",
        unit: '/s',
        values: { watched: loops.watched, alone: loops.alone },
        target: atLeast(0.99, 'x alone', ratio),
      },
    ];
  } finally {
    await engine.kill(VM);
    await engine.close();
  }
}

/**
 * Lets the guest compute for a while. Adds the CPU time of the middle of that period, in percent of a core, to
 * `shares`; this excludes drawing the typed command and its result.
 * @returns iterations per second
 */
async function spin(engine: Engine, cpuNow: () => number, shares: number[]): Promise<number> {
  const done = Promise.withResolvers<number>();
  let printed = '';
  const console = engine.openConsole(VM, {
    printed: (bytes, replayed) => {
      if (!replayed) printed += Buffer.from(bytes).toString('latin1');
      const result = /result spin .*per_second=(\d+).*> $/s.exec(printed);
      if (result) done.resolve(Number(result[1]));
    },
  });
  await console.takeKeyboard();
  console.type(Buffer.from(`spin ${SPIN_MS}ms\r`));
  await sleep(EDGE_MS);
  const before = cpuNow();
  await sleep(SPIN_MS - 2 * EDGE_MS);
  shares.push(((cpuNow() - before) / (SPIN_MS - 2 * EDGE_MS)) * 100);
  const iterations = await done.promise;
  console.close();
  return iterations;
}
