import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { VCPU } from '../../src/vmm/counters/counters.ts';
import { EXIT } from '../../src/vmm/kvm/constants.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { holdings } from '../support/holdings.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const engines: LocalEngine[] = [];
const newEngine = () => {
  const engine = new LocalEngine();
  engines.push(engine);
  return engine;
};
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

describe.skipIf(noKvm !== null)(onKvm('a guest in the local engine'), () => {
  test('boots, responds on its serial port, and powers off', async () => {
    const guest = await GuestVm.start(newEngine());
    expect(await guest.command('info')).toMatch(/result info .*pci=1/);
    void guest.command('halt');
    expect(await guest.reached('off')).toMatchObject({ reason: 'the guest powered off', exitCode: null });
  });

  test('boots by multiboot and by PVH', async () => {
    const boot = { kind: 'kernel', path: 'dist/guest-multiboot.elf', append: 'run="exit 3"' } as const;
    const guest = await GuestVm.start(newEngine(), { boot });
    expect(await guest.reached('off')).toMatchObject({ exitCode: 3 });
    expect(guest.output).toContain('started by multiboot');
  });

  test('has its VM exits counted by reason and by address', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    const { words: counters, layout } = engine.counters(guest.id)!;
    const { regions } = guest.info.topology!;
    const postCode = layout.region(regions.findIndex(region => region.device === 'post-code'));
    const exits = layout.vcpu(0) + VCPU.exits + EXIT.IO;
    const before = { exits: counters[exits]!, writes: counters[postCode + 1]!, reads: counters[postCode]! };
    await guest.command('exits io 500');
    expect(counters[postCode + 1]! - before.writes).toBe(500n);
    expect(counters[postCode]! - before.reads).toBe(500n);
    expect(counters[exits]! - before.exits).toBeGreaterThan(1000n);
  });

  test('starts its other vCPUs', async () => {
    const guest = await GuestVm.start(newEngine(), { cpus: 3 });
    expect(resultOf(await guest.command('smp 50ms'), 'smp')).toMatchObject({ cpus: 3, online: 3 });
  });

  test('that crashes reports the reason and its registers', async () => {
    const guest = await GuestVm.start(newEngine(), { append: 'run="crash"' });
    const { reason, detail } = await guest.reached('crashed');
    expect(reason).toContain('triple fault');
    expect(detail).toMatch(/RIP=[0-9a-f]{16}/);
  });

  test('does not run while it is paused, and continues when it is resumed', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    await engine.pause(guest.id);
    expect(guest.info.state).toBe('paused');
    const { words: counters, layout } = engine.counters(guest.id)!;
    const entries = layout.vcpu(0) + VCPU.entries;
    const before = counters[entries];
    engine.type(guest.id, Buffer.from('info\r'));
    await engine.pause(guest.id);
    expect(counters[entries]).toBe(before);
    await engine.resume(guest.id);
    await guest.printed(/result info /);
  });

  test('reboots after a reset by the guest or by the user', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine);
    await guest.command('reboot');
    await guest.printed(/vring guest .*vring guest .*> $/s);
    await engine.reset(guest.id);
    await guest.printed(/vring guest .*vring guest .*vring guest .*> $/s);
    expect(guest.info.state).toBe('running');
  });

  test('stays paused when it is reset, and reboots when it is resumed', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    await engine.pause(guest.id);
    await engine.reset(guest.id);
    expect(guest.info.state).toBe('paused');
    await engine.resume(guest.id);
    await guest.printed(/vring guest .*vring guest .*> $/s);
  });

  test('can be killed at any point, and started again', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine, { append: 'run="exits io 100000"' });
    await engine.kill(guest.id);
    expect(guest.info).toMatchObject({ state: 'off', reason: 'it was stopped' });
    await expect(engine.pause(guest.id)).rejects.toThrow('guest is off: start it first');
    await engine.restart(guest.id);
    expect(guest.info.state).toBe('running');
  });

  test('writes garbage to every register and port, and harms neither vring nor another VM', async () => {
    const engine = newEngine();
    const devices = [{ type: 'virtio-rng' as const }];
    const neighbor = await GuestVm.start(engine, { name: 'neighbor', devices });
    const hostile = await GuestVm.start(engine, { name: 'hostile', devices });
    await hostile.command('rubbish regs 1 2000');
    if (hostile.info.state === 'running') await hostile.command('rubbish ports 1 2000');
    expect(neighbor.info.state).toBe('running');
    expect(await neighbor.command('rng 16')).toMatch(/[0-9a-f]{32}/);
  });
});

describe.skipIf(noKvm !== null)(onKvm('many guests'), () => {
  test('run at once on few cores', async () => {
    const engine = newEngine();
    const guests = await Promise.all(
      Array.from({ length: 8 }, (_, i) => GuestVm.start(engine, { name: `guest${i}`, append: 'run="demo"' })),
    );
    for (const guest of guests) await guest.printed(/vring guest/);
    expect(engine.vms().map(vm => vm.state)).toEqual(Array(8).fill('running'));
  });

  test('leave no thread, fd or mapping behind after 60 starts and stops', async () => {
    const devices = [{ type: 'virtio-rng' as const }];
    /** Closed at the end: an engine that is open may keep a thread ready for its next VM. */
    const cycles = async (count: number) => {
      const engine = newEngine();
      for (let i = 0; i < count; i++) {
        const guest = await GuestVm.start(engine, { devices });
        // Ended at different moments: at once, while it boots, when it has booted.
        if (i % 3 > 0) await guest.printed(i % 3 === 1 ? /vring guest/ : /> $/);
        await engine.kill(guest.id);
        await engine.remove(guest.id);
      }
      await engine.close();
    };
    await cycles(1);
    const before = holdings();
    await cycles(60);
    expect(holdings()).toEqual(before);
  }, 300_000);
});

describe.skipIf(noKvm !== null)(onKvm('a VM that cannot start'), () => {
  const bad = async (config: object) =>
    newEngine().start({ name: 'bad', boot: { kind: 'kernel', path: 'dist/guest.elf' }, ...config });

  test('reports the reason in a sentence, and leaves nothing in the list', async () => {
    const engine = newEngine();
    await expect(engine.start({ name: 'x', boot: { kind: 'kernel', path: '/no/such' } })).rejects.toThrow(
      'cannot open the kernel /no/such: there is no such file',
    );
    expect(engine.vms()).toEqual([]);
  });

  test('names an unknown CPU feature', () =>
    expect(bad({ cpuFeatures: { remove: ['nosuch'] } })).rejects.toThrow('there is no CPU feature "nosuch"'));

  test('names a truncated kernel', async () => {
    const path = join(temporaryFolder(), 'short.elf');
    writeFileSync(path, readFileSync('dist/guest.elf').subarray(0, 8192));
    await expect(bad({ boot: { kind: 'kernel', path } })).rejects.toThrow(
      /short\.elf.*(missing|ends|shorter|truncated)/,
    );
  });

  test('names a name that is taken', async () => {
    const engine = newEngine();
    await GuestVm.start(engine);
    await expect(GuestVm.start(engine)).rejects.toThrow('a VM named guest is running already');
    await engine.kill('guest');
    await GuestVm.start(engine);
    expect(engine.vms()).toMatchObject([{ name: 'guest', state: 'running' }]);
  });
});
