/**
 * A process that hosts VMs like vring's manager, driven by the benchmarks: each message is a request, answered with a number.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalEngine } from '../src/engine/local-engine.ts';
import { builtFile } from '../src/project-root.ts';

/** `start`: milliseconds to the first guest instruction of a VM that then ends. `add`: one more VM, which stays idle. */
export type HostRequest = 'start' | 'add';

const MiB = 2 ** 20;
/** Time for the next spare machine thread to come online, as between the VMs that a user starts one by one. */
const WARM_UP_MS = 2000;

const engine = new LocalEngine();
let vms = 0;

async function start(): Promise<number> {
  await sleep(WARM_UP_MS);
  const printed = Promise.withResolvers<number>();
  const begun = performance.now();
  const id = await startGuest('start');
  const link = engine.openConsole(id, {
    printed: bytes => {
      if (bytes.length > 0) printed.resolve(performance.now());
    },
  });
  const ms = (await printed.promise) - begun;
  link.close();
  await engine.kill(id);
  await engine.remove(id);
  return ms;
}

async function add(): Promise<number> {
  await startGuest(`idle${vms}`);
  return ++vms;
}

function startGuest(name: string): Promise<string> {
  const kernel = { path: builtFile('guest.elf'), append: 'quiet' };
  return engine.start({ name, memory: { bytes: 64 * MiB }, kernel });
}

process.on('message', async (request: HostRequest) => {
  process.send!(await (request === 'start' ? start() : add()));
});
process.on('disconnect', async () => {
  await engine.close();
  process.exit();
});
