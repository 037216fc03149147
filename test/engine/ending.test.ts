import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { execa } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import type { VmInfo } from '../../src/engine/vm-info.ts';
import { builtFile } from '../../src/project-root.ts';
import { GuestVm } from '../support/guest-vm.ts';
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

const STOPPED = { state: 'off', reason: 'it was stopped' };

describe.skipIf(noKvm !== null)(onKvm('a VM'), () => {
  test('starts although the spare thread has died', async () => {
    const warm = Promise.withResolvers<Worker>();
    process.once('worker', warm.resolve);
    const engine = newEngine();
    await (await warm.promise).terminate();
    await (await GuestVm.start(engine)).printed(/vring guest/);
  });

  test('receives a kill while it is being built', async () => {
    const engine = newEngine();
    const seen: VmInfo[] = [];
    engine.subscribe(event => {
      if (event.kind === 'vm') seen.push(event.vm);
    });
    const started = engine.start({ name: 'guest', boot: { kind: 'kernel', path: builtFile('guest.elf') } });
    started.catch(() => {});
    await engine.kill('guest');
    expect(seen.at(-1)).toMatchObject(STOPPED);
  });

  test('receives console input while it is being reset', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    await engine.reset(guest.id);
    // The guest clears its receiver as it starts: the first keys are lost.
    engine.type(guest.id, Buffer.from(`${' '.repeat(32)}info\r`));
    await guest.printed(/result info /);
  });

  const orders = [
    ['pause', 'reset', 'resume', 'powerButton', 'kill'],
    ['reset', 'kill', 'pause', 'kill', 'reset'],
    ['pause', 'pause', 'kill', 'resume', 'resume'],
    ['reset', 'reset', 'pause', 'reset', 'kill'],
    ['pause', 'powerButton', 'reset', 'pause', 'kill'],
  ] as const;

  test.each(orders)('handles %s, %s, %s, %s and %s issued at once', async (...actions) => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine, { append: 'run="demo"' });
    await Promise.allSettled(actions.map(action => engine[action](guest.id)));
    expect(guest.info).toMatchObject(STOPPED);
  });

  test.each(orders)('handles %s, %s, %s, %s and %s while it starts', async (...actions) => {
    const engine = newEngine();
    const started = engine.start({ name: 'guest', boot: { kind: 'kernel', path: builtFile('guest.elf') } });
    await Promise.allSettled([started, ...actions.map(action => engine[action]('guest'))]);
    expect(engine.vms().every(vm => vm.state === 'off')).toBe(true);
  });
});

/** A fault in a machine thread for which the byte 255 is typed, an endless loop, or 254, an exception in a device model. */
const FAULTS = `
  import { isMainThread } from 'node:worker_threads';
  const { slice } = Uint8Array.prototype;
  if (!isMainThread) Uint8Array.prototype.slice = function (...range) {
    while (this[0] === 255);
    if (this[0] === 254) throw new Error('a fault in a device model');
    return slice.apply(this, range);
  };`;

/** The JSON output of a program that has an engine with a VM named "neighbor". */
async function withFaults(program: string) {
  const source = `
    import { LocalEngine } from './src/engine/local-engine.ts';
    import { holdings } from './test/support/holdings.ts';
    const engine = new LocalEngine();
    const start = name => engine.start({ name, boot: { kind: 'kernel', path: 'dist/guest.elf' } });
    const state = async (id, wanted) => {
      while (engine.vms().find(vm => vm.id === id).state !== wanted) await new Promise(setImmediate);
    };
    const neighbor = await start('neighbor');
    const held = () => Object.values(holdings()).flat().filter(name => /kvm|guest-ram|vcpu|counters/.test(name));
    const before = held();
    ${program}
    await engine.pause(neighbor);
    console.log(JSON.stringify({ vms: engine.vms(), before, after }));
    await engine.close();`;
  const faults = join(temporaryFolder(), 'faults.mjs');
  writeFileSync(faults, FAULTS);
  const args = ['--input-type=module-typescript', '--eval', source];
  const env = { NODE_OPTIONS: `--import ${faults}` };
  const { stdout } = await execa(process.execPath, args, { timeout: 20_000, env });
  return JSON.parse(stdout);
}

describe.skipIf(noKvm !== null)(onKvm('a machine thread'), () => {
  test('that hangs is terminated', async () => {
    const { vms, before, after } = await withFaults(`
      const id = await start('hung');
      engine.type(id, Uint8Array.of(255));
      await engine.kill(id);
      const after = held();`);
    expect(vms).toMatchObject([
      { name: 'hung', state: 'off', reason: expect.stringContaining('by force') },
      { name: 'neighbor', state: 'paused' },
    ]);
    // Its own mapping of the counters remains, because nothing else refers to it.
    expect(after.filter((name: string) => !name.includes('counters'))).toEqual(
      before.filter((name: string) => !name.includes('counters')),
    );
  });

  test('that dies ends only its own VM, which can be started again', async () => {
    const { vms, before, after } = await withFaults(`
      const id = await start('victim');
      engine.type(id, Uint8Array.of(254));
      await state(id, 'crashed');
      const after = held();
      const { reason } = engine.vms().find(vm => vm.id === id);
      await engine.restart(id);
      after.unshift(reason);`);
    expect(vms).toMatchObject([
      { name: 'neighbor', state: 'paused' },
      { name: 'victim', state: 'running' },
    ]);
    expect(after).toEqual(['the machine thread died: a fault in a device model', ...before]);
  });
});
