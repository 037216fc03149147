import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryLimitFor } from '../../../../src/vmm/confinement/cgroup.ts';
import type { Layer } from '../../../../src/vmm/confinement/layer.ts';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { missingForRig } from '../../../rig/tools.ts';
import { installProbe } from './host-probe-bundle.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('confinement on another kernel', () => {
  let host: EmulatedHost;
  let units = 0;
  let command: (...args: string[]) => string;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ modules: ['kvm-amd'] });
    command = await installProbe(host);
    await host.check('mkdir -p /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup');
  }, 240_000);

  afterAll(async () => {
    await host?.close();
  });

  /** Runs a probe in a cgroup of its own, as a service of systemd's is. */
  async function probe(...args: string[]) {
    units++;
    const unit = `/sys/fs/cgroup/vring${units}.service`;
    const script = `echo '+cpu +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
      mkdir -p ${unit} && echo $$ >${unit}/cgroup.procs && exec ${command(...args)}`;
    return JSON.parse(await host.check(`sh -c '${script.replaceAll("'", `'"'"'`)}'`, { seconds: 120 }));
  }

  test('only a VM that exceeds its limit is killed', async () => {
    const { set, own, layer, end, outOfMemory } = await probe('memory');
    expect(set).toEqual({
      'memory.max': String(128 * 2 ** 20),
      'cpu.weight': '50',
      'pids.max': '30',
    });
    expect(own).toMatch(/^0::\/vring1.service\/vring-\d+-1$/);
    expect(layer).toEqual({ name: 'cgroup', state: 'on', reason: null });
    expect(end).toEqual({ code: null, signal: 'SIGKILL' });
    expect(outOfMemory).toBe('limit');
    expect(await host.check('cd /sys/fs/cgroup/vring1.service && ls -d */')).toBe('manager/\n');
  }, 180_000);

  test('a VM within its limit is not killed', async () => {
    expect(await probe('enough memory')).toMatchObject({ end: { code: 0, signal: null }, outOfMemory: null });
  }, 180_000);

  test('a process limit is named if it prevents the start', async () => {
    const { error } = await probe('too many processes');
    expect(error).toMatch(
      /^no process can be started for \S+node: the limit on processes is reached: raise TasksMax=/,
    );
  }, 180_000);

  test("a machine's process has its VM's limits, and the VM reports when it is killed for its memory", async () => {
    await host.check(
      `vring run /opt/vring/dist/guest.elf --detach --name web --memory 64M --append 'run="spin 600s"'`,
    );
    const show = async () => JSON.parse(await host.check('vring vm show web --json'));
    const find = "grep -l '^vring: web' /proc/[0-9]*/cmdline";
    const cgroup = (
      await host.check(`echo /sys/fs/cgroup$(cut -d : -f 3 $(dirname $(${find}))/cgroup)`)
    ).trim();
    const [memory, pids] = (await host.check(`cat ${cgroup}/memory.max ${cgroup}/pids.max`))
      .trim()
      .split('\n');
    expect(Number(memory)).toBe(memoryLimitFor(64 * 2 ** 20));
    expect(Number(pids)).toBeGreaterThan(64);
    await host.check(`echo 4M >${cgroup}/memory.max`);
    await host.check('until vring vm list | grep -q crashed; do sleep 0.2; done');
    expect(JSON.stringify(await show())).toMatch(
      /its process \d+ was killed by the kernel for lack of memory: it needed far more than the VM has/,
    );
    await host.check('vring manager stop --force');
  }, 180_000);

  const unavailableTo = async (...args: string[]) => {
    const { started, own } = await probe('layers', ...args);
    const layers: Layer[] = [...started, ...own];
    return Object.fromEntries(
      layers.flatMap(({ name, state, reason }) => (state === 'unavailable' ? [[name, reason]] : [])),
    );
  };

  test('root has every layer', async () => {
    expect(await unavailableTo()).toEqual({});
  }, 180_000);

  test('a user without user namespaces lacks the layers that need them, and sees why', async () => {
    await host.check('sysctl -w user.max_user_namespaces=0');
    const none =
      'it needs root or a user namespace, and no sandbox around vring that forbids it (RestrictNamespaces= of a systemd unit)';
    const full = 'the limit on user namespaces is reached: raise user.max_user_namespaces with sysctl';
    expect(await unavailableTo('12345')).toEqual({
      'user-namespace': full,
      'mount-namespace': none,
      'pid-namespace': none,
      'ipc-namespace': none,
      'uts-namespace': none,
      network: none,
      'empty-root': 'it needs root or a user namespace',
    });
  }, 180_000);
});
