/** What a manager does about cgroups and layers, on the current host. The argument selects one; it prints JSON. */
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupLimits } from '../../../src/vmm/confinement/cgroup.ts';
import { CgroupParent } from '../../../src/vmm/confinement/cgroup-parent.ts';
import { confineSelf } from '../../../src/vmm/confinement/confine-self.ts';
import { watchExit } from '../../../src/vmm/confinement/exit-status.ts';
import { type SpawnOptions, spawnConfined } from '../../../src/vmm/confinement/spawn-confined.ts';

const MiB = 2 ** 20;

function start(options: Omit<SpawnOptions, 'path' | 'env'>) {
  const output = openSync('/dev/null', 'w');
  return spawnConfined({ path: process.execPath, env: {}, stdio: [null, output, output], ...options });
}

/** Runs a script in a cgroup with limits. */
async function inCgroup(script: string, limits: CgroupLimits) {
  const parent = CgroupParent.prepare();
  const cgroup = parent.create();
  cgroup.limit(limits);
  const files = ['memory.max', 'cpu.weight', 'pids.max'];
  const set = Object.fromEntries(
    files.map(file => [file, readFileSync(join(cgroup.path, file), 'utf8').trim()]),
  );
  try {
    const { pid, pidfd, layers } = start({ args: ['-e', script], confinement: { cgroup: cgroup.fd } });
    const own = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim();
    const layer = cgroup.layer(layers.find(({ name }) => name === 'cgroup')!);
    const end = await watchExit(pidfd);
    return { set, own, layer, end, outOfMemory: cgroup.outOfMemory() };
  } catch (error) {
    return { set, error: (error as Error).message };
  } finally {
    await cgroup.remove();
  }
}

async function layers() {
  const { pidfd, layers } = start({ args: ['-e', ''] });
  await watchExit(pidfd);
  return { started: layers, own: confineSelf() };
}

const GROW = 'const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1))';

const PROBES: { readonly [name: string]: () => unknown } = {
  memory: () => inCgroup(GROW, { memoryMax: 128 * MiB, cpuWeight: 50, pidsMax: 30 }),
  'enough memory': () => inCgroup('', { memoryMax: 512 * MiB }),
  'too many processes': () => inCgroup('', { pidsMax: 0 }),
  layers,
};

const [name = '', uid] = process.argv.slice(2);
if (uid !== undefined) {
  process.setgroups!([]);
  process.setgid!(Number(uid));
  process.setuid!(Number(uid));
}
process.stdout.write(JSON.stringify(await PROBES[name]!()));
