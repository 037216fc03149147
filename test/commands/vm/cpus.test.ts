import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cpus } from '../../../src/commands/vm/cpus.ts';
import type { VcpusChanged } from '../../../src/engine/hotplug/hotplug-info.ts';
import type { EngineEvent, VmInfo } from '../../../src/engine/vm-info.ts';
import type { VcpuLabel } from '../../../src/vmm/machine/topology.ts';

let printed = '';
beforeEach(() => {
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += String(text);
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

/** A VM with these vCPUs, whose guest does `answer` when it is asked. */
function engineOf(
  labels: readonly VcpuLabel[],
  answer: (set: (labels: readonly VcpuLabel[]) => void) => Promise<VcpusChanged> = () =>
    Promise.reject(new Error('it is not to be changed')),
  state: VmInfo['state'] = 'running',
) {
  const asked: unknown[] = [];
  const listeners = new Set<(event: EngineEvent) => void>();
  let now = labels;
  const vm = () =>
    ({
      ...{ id: 'web', name: 'web', state, vcpus: now.length, maxVcpus: 4 },
      topology: state === 'off' ? null : { vcpuLabels: now, shape: { vcpus: 4 }, pinning: [] },
    }) as unknown as VmInfo;
  return {
    asked,
    vms: () => [vm()],
    subscribe: (listener: (event: EngineEvent) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    setVcpus: (...args: unknown[]) => {
      asked.push(args);
      return answer(next => {
        now = next;
        for (const listener of listeners)
          listener({ kind: 'vm-changed', vm: vm() } as unknown as EngineEvent);
      });
    },
  };
}

const ONE = [{ index: 0 }];
const TWO = [{ index: 0 }, { index: 1 }];
const never = new Promise<VcpusChanged>(() => {});

describe('vring vm cpus', () => {
  test('shows what the guest has, and what it is asked for', async () => {
    const labels = [...TWO, { index: 3, removing: 5 }, { index: 2, adding: true as const }];
    const engine = engineOf(labels);
    expect(await cpus(engine, 'web', null, { wait: 30 })).toBe(0);
    expect(printed).toContain('vCPUs       4 of 4');
    expect(printed).toContain('Added       2: the guest has not taken that up');
    expect(printed).toContain('To leave    3: the guest has not released that');
    printed = '';
    await cpus(engine, 'web', null, { wait: 30, json: true });
    expect(JSON.parse(printed)).toMatchObject({
      ...{
        name: 'web',
        vcpus: 4,
        maximum: 4,
        present: [0, 1, 3, 2],
        adding: [2],
        removing: [3],
        done: false,
      },
    });
  });

  test('waits until the guest has done its part', async () => {
    const engine = engineOf(ONE, async set => {
      set(TWO);
      return { vcpus: 2, running: true, noticed: true };
    });
    expect(await cpus(engine, 'web', 2, { wait: 30, persist: true })).toBe(0);
    expect(engine.asked).toEqual([['web', 2, { persist: true }]]);
    expect(printed).toBe('web has 2 vCPUs\n');
  });

  test('says so if the guest does not, in time or for lack of a driver', async () => {
    const slow = engineOf(ONE, set => {
      set([{ index: 0 }, { index: 1, adding: true }]);
      return never;
    });
    expect(await cpus(slow, 'web', 2, { wait: 0.01 })).toBe(1);
    expect(printed).toMatch(/^web: the guest has not taken up vCPU 1 in 0.01 s, and may still do so/);
    printed = '';
    const without = engineOf(TWO, async set => {
      set([{ index: 0 }, { index: 1, removing: 5 }]);
      return { vcpus: 2, running: true, noticed: false };
    });
    expect(await cpus(without, 'web', 1, { wait: 30 })).toBe(1);
    expect(printed).toMatch(/^web has 2 vCPUs; its guest has no driver .* it has not released vCPU 1: /);
  });

  test('does not wait with --wait 0, and reports a refusal', async () => {
    const asked = engineOf(TWO, set => {
      set([{ index: 0 }, { index: 1, removing: 5 }]);
      return never;
    });
    expect(await cpus(asked, 'web', 1, { wait: 0 })).toBe(0);
    expect(printed).toBe('web: the guest was asked to have 1 vCPU\n');
    const refusal = new Error('the guest does not release vCPU 1: it is busy');
    const refused = engineOf(TWO, () => Promise.reject(refusal));
    for (const wait of [0, 30]) await expect(cpus(refused, 'web', 1, { wait })).rejects.toThrow(refusal);
  });

  test('withdraws a request', async () => {
    const engine = engineOf([{ index: 0 }, { index: 1, removing: 5 }], set => {
      set(TWO);
      return never;
    });
    expect(await cpus(engine, 'web', null, { wait: 30, cancel: true })).toBe(0);
    expect(engine.asked).toEqual([['web', 2, { persist: false }]]);
    expect(printed).toBe('web keeps 2 vCPUs\n');
    const cancel = { wait: 30, cancel: true };
    await expect(cpus(engine, 'web', null, cancel)).rejects.toThrow('has not been asked to release any vCPU');
    await expect(cpus(engine, 'web', 1, cancel)).rejects.toThrow('leave out the number');
  });

  test('changes the definition of a VM that is off', async () => {
    const engine = engineOf(ONE, async () => ({ vcpus: 3, running: false, noticed: false }), 'off');
    expect(await cpus(engine, 'web', 3, { wait: 30 })).toBe(0);
    expect(printed).toBe('web is off: its definition has 3 vCPUs, for its next start\n');
  });
});
