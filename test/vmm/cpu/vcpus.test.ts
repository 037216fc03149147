import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { VCPU } from '../../../src/vmm/counters/counters.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';

const boot = { kind: 'kernel' as const, path: 'vmlinux' };

const engines: LocalEngine[] = [];
const newEngine = () => {
  const engine = new LocalEngine();
  engines.push(engine);
  return engine;
};
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** The host CPUs that a thread of this process may run on, as Linux lists them: `0-3,6`. */
function allowedCpus(thread: number | 'self'): string {
  const status = readFileSync(`/proc/self/task/${thread === 'self' ? process.pid : thread}/status`, 'utf8');
  return /^Cpus_allowed_list:\s*(.*)$/m.exec(status)![1]!;
}

function cpusOf(list: string): number[] {
  return list.split(',').flatMap(range => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, index) => first! + index);
  });
}

describe.skipIf(noKvm !== null)(onKvm('the vCPUs of a guest'), () => {
  test('stay on the host CPUs that they are pinned to', async () => {
    const engine = newEngine();
    const cpus = cpusOf(allowedCpus('self'));
    const pin = [cpus.at(-1)!, cpus[0]!];
    const guest = await GuestVm.start(engine, { cpus: 3, pin });
    await guest.printed(/> $/);
    const { words: counters, layout } = engine.counters(guest.id)!;
    const allowed = [0, 1, 2].map(index => allowedCpus(Number(counters[layout.vcpu(index) + VCPU.tid])));
    expect(allowed).toEqual([String(pin[0]), String(pin[1]), allowedCpus('self')]);
    // And they actually run there.
    expect(
      engine
        .threadTimes(guest.id)
        .map(times => times.hostCpu)
        .slice(0, 2),
    ).toEqual(pin);
    expect(guest.info.topology!.pinning).toEqual(pin);
  });

  test('are not started on a missing host CPU', async () => {
    await expect(GuestVm.start(newEngine(), { pin: [8000] })).rejects.toThrow(
      'vCPU 0 cannot be pinned to host CPU 8000: pick one that is online and that vring may use',
    );
  });

  test('start in a topology whose APIC IDs have gaps', async () => {
    const topology = { sockets: 2, cores: 3, threads: 1 };
    const guest = await GuestVm.start(newEngine(), { cpus: 6, topology });
    expect(resultOf(await guest.command('smp 50ms'), 'smp')).toMatchObject({ cpus: 6, online: 6 });
  });

  test.each([
    [1, 4],
    [2, 8],
  ])('are %i of at most %i, and the guest does not wait for the others', async (cpus, maxCpus) => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine, { cpus, maxCpus });
    expect(resultOf(await guest.command('smp 50ms'), 'smp')).toMatchObject({ cpus, online: cpus });
    expect(guest.info).toMatchObject({ vcpus: cpus, topology: { vcpus: cpus, shape: { vcpus: maxCpus } } });
    const { words, layout } = engine.counters(guest.id)!;
    const threads = Array.from({ length: maxCpus }, (_, index) => words[layout.vcpu(index) + VCPU.tid]! > 0n);
    expect(threads.filter(runs => runs)).toHaveLength(cpus);
  });

  test('run in mergeable memory', async () => {
    const memory = { bytes: 32 * 2 ** 20, mergeable: true };
    const guest = await GuestVm.start(newEngine(), { memory });
    expect(await guest.command('info')).toMatch(/result info /);
  });
});

describe('a configuration', () => {
  const problems = (config: object) => {
    try {
      parseMachineConfig({ name: 'guest', boot, ...config });
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };

  test('must match its topology in vCPUs', () => {
    const topology = { sockets: 2, cores: 2, threads: 2 };
    expect(problems({ cpus: 8, topology })).toBeNull();
    expect(problems({ cpus: 6, topology })).toBe(
      'topology: sockets x cores x threads (2 x 2 x 2 = 8) must equal the number of vCPUs, 6',
    );
  });

  test('pins no more vCPUs than it has', () => {
    expect(problems({ cpus: 1, pin: [0, 1] })).toBe('pin: 2 host CPUs for 1 vCPU');
  });

  test('has either mergeable memory or huge pages', () => {
    const { memory } = parseMachineConfig({ name: 'guest', boot });
    expect(memory).toEqual({ bytes: 256 * 2 ** 20, mergeable: false });
    expect(problems({ memory: { bytes: 2 ** 30, hugepages: '2M', mergeable: true } })).toBe(
      'memory.mergeable: the kernel never merges huge pages: remove one of the two',
    );
  });
});
