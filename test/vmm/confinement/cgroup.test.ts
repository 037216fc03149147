import { closeSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryLimitFor } from '../../../src/vmm/confinement/cgroup.ts';
import { CgroupParent, cgroupOfMachine, NoCgroups } from '../../../src/vmm/confinement/cgroup-parent.ts';
import { watchExit } from '../../../src/vmm/confinement/exit-status.ts';
import { spawnConfined } from '../../../src/vmm/confinement/spawn-confined.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A /proc/self of a process in cgroup `own`, with cgroup v2 mounted at `mount`. */
function procWith(own: string, mount: string | null): string {
  const proc = temporaryFolder();
  const v1 = '29 28 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory';
  const v2 = mount === null ? [] : [`30 28 0:26 / ${mount} rw,nosuid - cgroup2 cgroup2 rw`];
  writeFileSync(join(proc, 'mountinfo'), `${[v1, ...v2].join('\n')}\n`);
  writeFileSync(join(proc, 'cgroup'), `4:memory:/elsewhere\n0::${own}\n`);
  return proc;
}

function cgroupFolder(path: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'cgroup.procs'), '');
  writeFileSync(join(path, 'cgroup.type'), 'domain\n');
  writeFileSync(join(path, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
  writeFileSync(join(path, 'cgroup.subtree_control'), 'cpu\n');
}

describe('the parent of the cgroups of VMs', () => {
  it('is the cgroup of the process, which moves into a child, with the missing controllers enabled', () => {
    const mount = temporaryFolder();
    const own = join(mount, 'vring.service');
    cgroupFolder(own);
    mkdirSync(join(own, 'manager'));
    // Of a manager that is gone, of one that is not, and another's.
    for (const name of ['vring-4194305-3', `vring-${process.ppid}-3`, 'other']) mkdirSync(join(own, name));
    const parent = CgroupParent.prepare(procWith('/vring.service', mount));
    expect(parent.controllers).toEqual(new Set(['cpu', 'memory', 'pids']));
    expect(readFileSync(join(own, 'manager/cgroup.procs'), 'utf8')).toBe(String(process.pid));
    expect(readFileSync(join(own, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +pids');
    const left = ['vring-4194305-3', `vring-${process.ppid}-3`, 'other'].map(name =>
      existsSync(join(own, name)),
    );
    expect(left).toEqual([false, true, true]);
    // From where it moved to, a second time.
    CgroupParent.prepare(procWith('/vring.service/manager', mount));
    expect(existsSync(join(own, 'manager/manager'))).toBe(false);
  });

  it('is missing without cgroup v2, or if the process may not write', () => {
    expect(() => CgroupParent.prepare(procWith('/', null))).toThrow(
      new NoCgroups('cgroup v2 is not mounted on this host'),
    );
    expect(() => CgroupParent.prepare(procWith('/session.scope', '/nonexistent'))).toThrow(
      /^this user may not write to vring's cgroup \/nonexistent\/session.scope: run the manager by its systemd unit, or /,
    );
  });
});

it('the memory limit leaves room for more than the RAM', () => {
  const GiB = 2 ** 30;
  expect(memoryLimitFor(GiB)).toBeGreaterThan(GiB + GiB / 512 + 256 * 2 ** 20);
  expect(memoryLimitFor(64 * GiB) - 64 * GiB).toBeLessThan(2 * GiB);
});

const unavailable = (() => {
  try {
    CgroupParent.prepare();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
})();

const title = 'the cgroup of a VM';
describe.skipIf(unavailable !== null)(
  unavailable === null ? title : `${title} (skipped: ${unavailable})`,
  () => {
    it('contains the process from its start, and kills it when removed', async () => {
      const parent = CgroupParent.prepare();
      const cgroup = parent.create();
      cgroup.limit({ pidsMax: 40 });
      const { pid, pidfd, layers } = spawnConfined({
        path: '/bin/sleep',
        args: ['infinity'],
        env: {},
        confinement: { cgroup: cgroup.fd },
      });
      const ended = watchExit(pidfd);
      expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toMatch(
        new RegExp(`^0::.*/vring-${process.pid}-1$`, 'm'),
      );
      // As a later manager finds it.
      const found = cgroupOfMachine(pid)!;
      expect(found.path).toBe(cgroup.path);
      closeSync(found.fd);
      expect(cgroupOfMachine(process.pid)).toBeNull();
      const layer = cgroup.layer(layers.find(({ name }) => name === 'cgroup')!);
      expect(layer.state).toBe('on');
      expect(layer.reason === null).toBe(parent.controllers.has('pids'));
      await cgroup.remove();
      expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
      expect(existsSync(cgroup.path)).toBe(false);
      expect(cgroup.outOfMemory()).toBeNull();
    });
  },
);
