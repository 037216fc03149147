import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DefinitionStore } from '../../../src/definitions/store.ts';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../../src/engine/machines/process-machine.ts';
import { builtFile } from '../../../src/project-root.ts';
import { counterShape } from '../../../src/vmm/counters/counter-shape.ts';
import { VCPU } from '../../../src/vmm/counters/counters.ts';
import { createCounters } from '../../../src/vmm/counters/shared-counters.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { canFreeze, FrozenFolder } from '../../support/frozen-folder.ts';
import { GuestVm } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { isRunning, withOwnFolders } from '../../support/manager-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

withOwnFolders();

let engine: LocalEngine;
let neighbor: GuestVm;
beforeEach(async () => {
  engine = new LocalEngine({ machines: new ProcessMachines(), definitions: new DefinitionStore() });
  neighbor = await GuestVm.start(engine, { name: 'neighbor', append: 'run="flood"' });
});
afterEach(async () => {
  await engine.close();
});

const pidOf = (vm: GuestVm) => vm.info.pid!;
const exits = () => {
  const { words, layout } = engine.counters(neighbor.id)!;
  return words[layout.vcpu(0) + VCPU.entries]!;
};

/** The other VM keeps printing and counting, and responds. */
async function neighborGoesOn(): Promise<void> {
  const [printed, counted] = [neighbor.output.length, exits()];
  await until(() => neighbor.output.length > printed + 1000 && exits() > counted);
  await engine.pause(neighbor.id);
  await engine.resume(neighbor.id);
  expect(neighbor.info.state).toBe('running');
}

describe.skipIf(noKvm !== null)(onKvm('a machine process'), () => {
  test.each(['SIGKILL', 'SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGTERM', 'SIGHUP'] as const)(
    'that is killed by %s ends only its own VM, which reports it',
    async signal => {
      const victim = await GuestVm.start(engine, { name: 'victim' });
      await victim.printed(/> $/);
      const pid = pidOf(victim);
      process.kill(pid, signal);
      const { reason, pid: after } = await victim.reached('crashed');
      expect(reason).toBe(`its process ${pid} was ended by ${signal}`);
      expect(after).toBeNull();
      // It has been waited for.
      expect(isRunning(pid)).toBe(false);
      await neighborGoesOn();
      await engine.restart('victim');
      expect(victim.info.state).toBe('running');
    },
  );

  test('names the threads that it starts after it is confined', async () => {
    const several = await GuestVm.start(engine, { name: 'several', cpus: 2 });
    const names = (vm: GuestVm) =>
      readdirSync(`/proc/${pidOf(vm)}/task`).map(tid =>
        readFileSync(`/proc/${pidOf(vm)}/task/${tid}/comm`, 'utf8').trimEnd(),
      );
    const vcpus = ['vring-vcpu0', 'vring-vcpu1'];
    await until(() => vcpus.every(name => names(several).includes(name)));
    // The only vCPU of a machine has no separate thread.
    await until(() => names(neighbor).includes('vring-watch'));
    expect(names(neighbor)).not.toContain('vring-vcpu0');
  });

  test('that later managers could not find ends with its manager', async () => {
    const config = parseMachineConfig({
      name: 'unregistered',
      boot: { kind: 'kernel', path: builtFile('guest.elf') },
    });
    const counters = createCounters(counterShape(config));
    const launch = { config, startedAt: 0, countersFd: counters.fd, registration: null };
    const machine = new ProcessMachines().launch(launch);
    counters.closeFd();
    counters.unmap();
    const connection = machine.connection!;
    const running = Promise.withResolvers<void>();
    connection.listen({
      message: message => {
        if (message.kind === 'state' && message.state === 'running') running.resolve();
      },
      printed: () => {},
    });
    await running.promise;
    expect(isRunning(machine.pid)).toBe(true);
    connection.close();
    expect(await machine.gone).toBeNull();
    expect(isRunning(machine.pid)).toBe(false);
  });

  test('that dies while it builds its machine fails the start', async () => {
    const started = engine.start({ name: 'victim', boot: { kind: 'kernel', path: builtFile('guest.elf') } });
    const { pid } = engine.vms().find(({ name }) => name === 'victim')!;
    process.kill(pid!, 'SIGKILL');
    await expect(started).rejects.toThrow(`its process ${pid} was ended by SIGKILL`);
    await neighborGoesOn();
  });

  test('that dies fails every pending command', async () => {
    const victim = await GuestVm.start(engine, { name: 'victim' });
    const pid = pidOf(victim);
    process.kill(pid, 'SIGSTOP');
    const commands = [engine.pause('victim'), engine.reset('victim'), engine.powerButton('victim')];
    process.kill(pid, 'SIGKILL');
    for (const result of await Promise.allSettled(commands))
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { message: expect.stringMatching(/was ended by SIGKILL/) },
      });
    await neighborGoesOn();
  });

  test('that dies is restarted if its definition says so, until it dies too often', async () => {
    const folder = process.env.VRING_DEFINITIONS_DIR!;
    const text = `name: phoenix\nmemory: 32M\non-crash: restart\nmachine:\n  kernel: ${builtFile('guest.elf')}\n  append: quiet\n`;
    writeFileSync(join(folder, 'phoenix.yaml'), text);
    await until(() => engine.vms().some(({ name }) => name === 'phoenix'));
    await engine.restart('phoenix');
    const info = () => engine.vms().find(({ name }) => name === 'phoenix')!;
    for (let life = 0; life < 4; life++) {
      await until(() => info().state === 'running');
      const { pid } = info();
      process.kill(pid!, 'SIGKILL');
      await until(() => info().pid !== pid);
    }
    await until(() => info().state === 'crashed');
    expect(engine.log().at(-1)!.text).toMatch(/crashed too many times in a row/);
    await neighborGoesOn();
  });

  test('that is stopped is stuck, and the message says how to resume it', { timeout: 60_000 }, async () => {
    const victim = await GuestVm.start(engine, { name: 'victim', append: 'run="flood"' });
    const pid = pidOf(victim);
    process.kill(pid, 'SIGSTOP');
    const pausing = engine.pause('victim');
    const { reason } = await victim.reached('stuck');
    expect(reason).toBe(`its process ${pid} was stopped by a signal: kill -CONT ${pid} resumes it`);
    await expect(pausing).rejects.toThrow('it does not respond');
    await expect(engine.reset('victim')).rejects.toThrow('victim is stuck');
    await neighborGoesOn();

    process.kill(pid, 'SIGCONT');
    // The pause was on its way.
    await victim.reached('paused');
    await engine.resume('victim');
    expect(victim.info).toMatchObject({ state: 'running', reason: null, pid });
    const printed = victim.output.length;
    await until(() => victim.output.length > printed);

    process.kill(pid, 'SIGSTOP');
    await engine.kill('victim');
    expect(victim.info.state).toBe('off');
    expect(isRunning(pid)).toBe(false);
    await neighborGoesOn();
  });

  test.skipIf(!canFreeze)(
    'that waits for a disk that does not respond is stuck, and blocks no other (needs root and a loop device)',
    { timeout: 60_000 },
    async () => {
      const folder = join(temporaryFolder(), 'frozen');
      mkdirSync(folder);
      const names = ['a', 'b', 'c', 'd'];
      const disk = (name: string) => join(folder, `${name}.img`);
      const frozen = new FrozenFolder(
        folder,
        () => {
          for (const name of names) writeFileSync(disk(name), new Uint8Array(2 ** 20));
        },
        { freeze: false },
      );
      const vms: GuestVm[] = [];
      let thawed = false;
      try {
        for (const name of names) {
          const devices = [{ type: 'virtio-blk' as const, path: disk(name) }];
          const vm = await GuestVm.start(engine, { name, devices });
          await vm.printed(/> $/);
          vms.push(vm);
        }
        frozen.freeze();
        for (const vm of vms) engine.type(vm.id, Buffer.from('blk verify 10\r'));
        const started = await GuestVm.start(engine, { name: 'fifth' });
        await Promise.all(vms.map(vm => until(() => vm.output.endsWith('blk verify 10\r\n'))));
        const kills = names.map(name => engine.kill(name));
        await engine.kill(started.id);
        expect(started.info.state).toBe('off');
        const results = await Promise.allSettled(kills);
        for (const [index, result] of results.entries()) {
          if (result.status === 'fulfilled') continue;
          const { state, reason } = vms[index]!.info;
          expect(state).toBe('stuck');
          expect(reason).toMatch(
            /waits for a device or file system of the host.* cannot be killed before that responds/,
          );
        }
        expect(results.some(({ status }) => status === 'rejected')).toBe(true);
        await neighborGoesOn();
        // Nor does its manager's end wait for it.
        await engine.close();
        expect(neighbor.info.state).toBe('off');
        frozen.thaw();
        thawed = true;
        for (const vm of vms) await vm.reached('off');
      } finally {
        if (!thawed) frozen.thaw();
      }
    },
  );
});
