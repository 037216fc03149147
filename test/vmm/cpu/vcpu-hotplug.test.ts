import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { SnapshotStore } from '../../../src/engine/snapshots/store.ts';
import { VCPU } from '../../../src/vmm/counters/counters.ts';
import type { MachineConfigInput } from '../../../src/vmm/machine/config.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const engines: LocalEngine[] = [];
const newEngine = (options: ConstructorParameters<typeof LocalEngine>[0] = {}) => {
  const engine = new LocalEngine(options);
  engines.push(engine);
  return engine;
};
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** A guest that has enabled the event. */
async function started(engine: LocalEngine, config: Partial<MachineConfigInput> = {}): Promise<GuestVm> {
  const guest = await GuestVm.start(engine, { cpus: 1, maxCpus: 4, ...config });
  await guest.command('cpus enable');
  return guest;
}

/** Sets the number of vCPUs, which the guest takes up and releases. */
async function set(engine: LocalEngine, guest: GuestVm, count: number) {
  const changed = engine.setVcpus(guest.id, count);
  changed.catch(() => {});
  await guest.command('cpus answer 100ms');
  return await changed;
}

/** The APIC IDs of the vCPUs that compute when all are started, as bits. */
async function busy(guest: GuestVm): Promise<string> {
  return /busy=([0-9a-f]+)/.exec(await guest.command('cpus run 30ms'))![1]!;
}

const labels = (guest: GuestVm) => guest.info.topology!.vcpuLabels!;
const indices = (guest: GuestVm) => labels(guest).map(({ index }) => index);

const ENV = { timeout: 60_000 };

describe.skipIf(noKvm !== null)(onKvm('vCPUs of a running guest'), ENV, () => {
  test('are added, work, and are removed and added again', async () => {
    const engine = newEngine();
    const guest = await started(engine);
    expect(await set(engine, guest, 4)).toEqual({ vcpus: 4, running: true, noticed: true });
    expect(guest.info).toMatchObject({ vcpus: 4, topology: { vcpus: 4 } });
    expect(await busy(guest)).toBe('f');
    const { words, layout } = engine.counters(guest.id)!;
    const exits = (index: number) => words[layout.vcpu(index) + VCPU.entries]!;
    expect([1, 2, 3].every(index => exits(index) > 0n)).toBe(true);
    expect(await set(engine, guest, 2)).toEqual({ vcpus: 2, running: true, noticed: true });
    expect(await busy(guest)).toBe('3');
    await set(engine, guest, 3);
    expect(await busy(guest)).toBe('7');
    const log = engine.log().map(({ text }) => text);
    expect(log).toEqual(expect.arrayContaining(['vCPU 3 was added', 'vCPU 3 was removed']));
  });

  test('have the APIC IDs of their topology, and their host CPUs', async () => {
    const engine = newEngine();
    const topology = { sockets: 2, cores: 3, threads: 1 };
    const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
    const cpu = Number(allowed[1]);
    const guest = await started(engine, { maxCpus: 6, topology, pin: Array(6).fill(cpu) });
    await set(engine, guest, 5);
    // Cores have two bits.
    expect(await busy(guest)).toBe('37');
    expect(engine.threadTimes(guest.id).map(({ hostCpu }) => hostCpu)).toEqual([...Array(5).fill(cpu), null]);
  });

  test('that the guest keeps stay, and the reason is reported', async () => {
    const engine = newEngine();
    const guest = await started(engine, { cpus: 3 });
    const changed = engine.setVcpus(guest.id, 1);
    changed.catch(() => {});
    await guest.command('cpus refuse 100ms');
    await expect(changed).rejects.toThrow(/^the guest does not release vCPU [12]: it is busy$/);
    expect(labels(guest)).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
    expect(await busy(guest)).toBe('7');
    expect(await set(engine, guest, 1)).toMatchObject({ vcpus: 1 });
  });

  test('are wanted after all, if a larger number is set before the guest has answered', async () => {
    const engine = newEngine();
    const guest = await started(engine, { cpus: 3 });
    const fewer = engine.setVcpus(guest.id, 1);
    fewer.catch(() => {});
    const more = engine.setVcpus(guest.id, 4);
    await expect(fewer).rejects.toThrow('vCPU 1 stays: removing it was canceled');
    await guest.command('cpus answer 100ms');
    expect(await more).toMatchObject({ vcpus: 4 });
    expect(await busy(guest)).toBe('f');
  });

  test('may be ejected unasked, but not the first, and the first absent ones are added next', async () => {
    const engine = newEngine();
    const guest = await started(engine, { cpus: 4, maxCpus: 5 });
    for (const cpu of [0, 1, 2, 7]) await guest.command(`cpus eject ${cpu}`);
    expect(indices(guest)).toEqual([0, 3]);
    expect(guest.info.vcpus).toBe(2);
    expect(await busy(guest)).toBe('9');
    expect(engine.log().map(({ text }) => text)).toContain('the guest has ejected vCPU 2');
    await set(engine, guest, 3);
    expect(indices(guest)).toEqual([0, 1, 3]);
    expect(await busy(guest)).toBe('b');
  });

  test('stay across a reset, which completes removals and takes up what was added', async () => {
    const engine = newEngine();
    const guest = await started(engine);
    await set(engine, guest, 3);
    await busy(guest);
    void engine.setVcpus(guest.id, 4).catch(() => {});
    void engine.setVcpus(guest.id, 3).catch(() => {});
    await engine.reset(guest.id);
    await guest.printed(/vring guest[\s\S]*3 vCPUs[\s\S]*> $/);
    expect(labels(guest)).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
    expect(resultOf(await guest.command('smp 30ms'), 'smp')).toMatchObject({ cpus: 3, online: 3 });
  });

  test('stay across sleep', async () => {
    const engine = newEngine();
    const guest = await started(engine);
    await set(engine, guest, 3);
    expect(await busy(guest)).toBe('7');
    const awake = guest.command('suspend');
    await guest.reached('suspended');
    await engine.wake(guest.id);
    await awake;
    expect(indices(guest)).toEqual([0, 1, 2]);
    expect(await busy(guest)).toBe('7');
  });

  test('are part of a snapshot, with requests that the guest has not answered', async () => {
    // What matters here does not depend on the disk, which may be busy.
    const folder = temporaryFolder('/dev/shm');
    const store = new SnapshotStore(join(folder, 'snapshots'));
    const engine = newEngine({ snapshots: { store, disks: join(folder, 'disks') } });
    const guest = await started(engine);
    await set(engine, guest, 4);
    expect(await busy(guest)).toBe('f');
    await guest.command('cpus eject 2');
    void engine.setVcpus(guest.id, 2).catch(() => {});
    await engine.snapshot(guest.id, { name: 'one', disks: false });
    await engine.kill(guest.id);
    await engine.restore(guest.id, 'one', {});
    const restored = GuestVm.of(engine, guest.id);
    await restored.printed(/> $/);
    expect(labels(restored)).toEqual([
      { index: 0 },
      { index: 1 },
      { index: 3, removing: expect.any(Number) },
    ]);
    expect(await busy(restored)).toBe('b');
    expect(await set(engine, restored, 2)).toMatchObject({ vcpus: 2 });
    expect(await set(engine, restored, 4)).toMatchObject({ vcpus: 4 });
    expect(await busy(restored)).toBe('f');
  });

  test('are added to a paused VM, whose guest takes them up when it continues', async () => {
    const engine = newEngine();
    const guest = await started(engine);
    await engine.pause(guest.id);
    const changed = engine.setVcpus(guest.id, 2);
    await expect.poll(() => labels(guest)).toEqual([{ index: 0 }, { index: 1, adding: true }]);
    await engine.resume(guest.id);
    await guest.command('cpus answer 100ms');
    expect(await changed).toMatchObject({ vcpus: 2 });
    expect(await busy(guest)).toBe('3');
  });

  test('are there even if the guest has no driver, which is reported', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine, { cpus: 1, maxCpus: 2 });
    await guest.printed(/> $/);
    expect(await engine.setVcpus(guest.id, 2)).toEqual({ vcpus: 2, running: true, noticed: false });
    expect(await busy(guest)).toBe('3');
  });

  test.each([
    [{ cpus: 1, maxCpus: 2 }, 3, /the VM has room for 2 vCPUs: set cpus.maxcpus .* to 3 or more/],
    [{ cpus: 1 }, 2, /the VM has room for 1 vCPU: /],
    [{ cpus: 2 }, 1, /the VM has no room for vCPUs to come and go/],
    [{ cpus: 1, maxCpus: 2, pin: [0, 8000] }, 2, /vCPU 1 cannot be pinned to host CPU 8000/],
  ])('with %j cannot be %i', async (config, count, message) => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine, config);
    await guest.printed(/> $/);
    await expect(engine.setVcpus(guest.id, count)).rejects.toThrow(message);
    expect(guest.info.vcpus).toBe(config.cpus);
    expect(await guest.command('info')).toMatch(/result info/);
  });

  test('survive a guest that ejects and starts them at random', async () => {
    const engine = newEngine();
    const guest = await started(engine, { maxCpus: 8 });
    for (let round = 0; round < 12; round++) {
      void engine.setVcpus(guest.id, 1 + ((round * 5) % 8)).catch(() => {});
      await guest.command(`cpus answer 20ms; cpus eject ${round % 9}; cpus run 5ms; cpus rubbish ${round}`);
    }
    expect(await set(engine, guest, 4)).toMatchObject({ vcpus: 4 });
    expect(resultOf(await guest.command('cpus run 30ms'), 'cpus')).toMatchObject({ present: 4 });
  });
});
