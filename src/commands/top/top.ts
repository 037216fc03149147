import type { Engine } from '../../engine/engine.ts';
import { readHostLoad } from '../../host/load.ts';
import { HostRoot } from '../../host/root.ts';
import { printData, printLines } from '../../text/output.ts';
import { UsageError } from '../../text/usage-error.ts';
import { outputWidth } from '../host/host-options.ts';
import { onTerminal } from '../on-terminal.ts';
import { sampleForever, sampleOnce } from '../samples.ts';
import { leaving, runningManager } from '../vm/manager.ts';
import { untilLeft } from '../vm/until-left.ts';
import { hostUse } from './load.ts';
import type { TopOptions } from './options.ts';
import { INTERVAL_MS } from './options.ts';
import { CSV_HEADER, csvLines, type Top, topLines, topRows } from './rows.ts';
import { Screen } from './screen.ts';

/** Samples until the user quits, or once. @returns the exit status */
export async function top(options: TopOptions): Promise<number> {
  if (options.csv && options.json) throw new UsageError('--csv and --json cannot be combined');
  return await leaving(await runningManager(), engine => watch(engine, options));
}

async function watch(engine: Engine, options: TopOptions): Promise<number> {
  const intervalMs = options.interval ?? INTERVAL_MS.usual;
  const measure = measuring(engine);
  if (options.csv) printLines(CSV_HEADER);
  if (options.once) {
    show(measure(await sampleOnce(engine, { intervalMs })), options);
    return 0;
  }
  const onScreen = onTerminal() && !options.csv && !options.json;
  const screen = onScreen ? new Screen() : null;
  const print = (top: Top) =>
    screen === null ? show(top, options) : screen.show(topLines(top, outputWidth()));
  const stop = sampleForever(engine, { intervalMs }, sample => print(measure(sample)));
  const status = await Promise.race([untilLeft(), ...(screen === null ? [] : [screen.left.then(() => 0)])]);
  stop();
  screen?.close();
  return status;
}

/** Combines samples with host activity over the same interval. */
function measuring(engine: Engine): (sample: Parameters<typeof topRows>[1]) => Top {
  const root = new HostRoot();
  let load = readHostLoad(root);
  let at = performance.now();
  return sample => {
    const [before, then] = [load, at];
    load = readHostLoad(root);
    at = performance.now();
    const seconds = (at - then) / 1000;
    return {
      at: sample.at,
      seconds,
      host: hostUse(before, load, seconds),
      vms: topRows(engine.vms(), sample),
    };
  };
}

function show(top: Top, { csv, json }: TopOptions): void {
  if (json)
    printData({ version: 1, ...top, vms: top.vms.map(({ rates, ...vm }) => ({ ...vm, ...rates })) }, 'line');
  else printLines(...(csv ? csvLines(top) : topLines(top, outputWidth())));
}
