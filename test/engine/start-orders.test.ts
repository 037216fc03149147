import { afterEach, describe, expect, test } from 'vitest';
import type { DefinedVm, Definitions } from '../../src/engine/definitions.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { unregistered } from '../../src/engine/machines/machine.ts';
import type { EngineEvent } from '../../src/engine/vm-info.ts';
import { builtFile } from '../../src/project-root.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';

const KERNEL = { path: builtFile('guest.elf') };
const MEMORY = { bytes: 32 * 2 ** 20 };

/** Definitions in memory. */
class Defined implements Definitions {
  readonly vms = new Map<string, DefinedVm>();
  kernel = KERNEL.path;
  append = '';

  add(name: string, more: Partial<DefinedVm> = {}): this {
    const nothing = { problem: null, blockers: [], vcpus: 1, memoryBytes: MEMORY.bytes, autostart: false };
    this.vms.set(name, { name, ...nothing, onCrash: 'keep', ...more });
    return this;
  }

  list = () => [...this.vms.values()];
  machine = (name: string) => ({
    name,
    memory: MEMORY,
    boot: { kind: 'kernel' as const, path: this.kernel, append: this.append },
  });
  text = () => '';
  attach = () => '';
  detach = () => {};
  limit = () => {};
  setVcpus = () => {};
  derive = (yaml: string) => yaml;
  check = () => {};
  renamed = (yaml: string) => yaml;
  save = (name: string) => void this.add(name);
  remove = (name: string) => void this.vms.delete(name);
  rename = (from: string, to: string) => {
    const vm = this.vms.get(from)!;
    this.remove(from);
    this.add(to, { ...vm, name: to });
  };
  watch = () => () => {};
}

/** Refuses what is locked, as the lock of another process would, but also within this one. */
class Locks {
  readonly held = new Set<string>();

  take = (name: string) => {
    if (this.held.has(name)) throw new Error(`${name} is locked`);
    this.held.add(name);
    return unregistered(() => this.held.delete(name));
  };
}

let engine: LocalEngine;
const locks = new Locks();
const events: EngineEvent[] = [];
const engineWith = (definitions?: Definitions) => {
  engine = new LocalEngine({ takePlace: locks.take, ...(definitions && { definitions }) });
  engine.subscribe(event => events.push(event));
  return engine;
};
afterEach(async () => {
  events.length = 0;
  await engine.close();
  expect([...locks.held]).toEqual([]);
});

const reached = (id: string, text: string) =>
  new Promise<void>(resolve => {
    const check = () => {
      if (engine.log().some(entry => entry.vm === id && entry.text.includes(text))) resolve();
    };
    engine.subscribe(check);
    check();
  });
const texts = () => engine.log().map(entry => entry.text);

describe.skipIf(noKvm !== null)(onKvm('a defined VM'), () => {
  test('that crashes is restarted, until it has crashed too often', async () => {
    const definitions = new Defined().add('web', { onCrash: 'restart' });
    definitions.append = 'run="crash"';
    await engineWith(definitions).restart('web');
    await reached('web', 'crashed too many times in a row');
    expect(texts().filter(text => text === 'started')).toHaveLength(4);
    expect(engine.vms()).toMatchObject([{ id: 'web', state: 'crashed' }]);
  });

  test('that cannot be started is off, reports the reason once, and is not retried', async () => {
    const definitions = new Defined().add('web', { onCrash: 'restart' });
    definitions.kernel = '/no/such';
    await expect(engineWith(definitions).restart('web')).rejects.toThrow('cannot open the kernel /no/such');
    expect(engine.vms()).toMatchObject([
      { state: 'off', reason: 'cannot open the kernel /no/such: there is no such file' },
    ]);
    await engine.startUnattended('web');
    const line = 'could not start: cannot open the kernel /no/such: there is no such file';
    expect(engine.log()).toMatchObject([
      { level: 'error', text: line },
      { level: 'error', text: line },
    ]);
  });

  test('that is defined while it starts, and cannot be started, stays in the list', async () => {
    const starting = engineWith(new Defined()).start({
      name: 'web',
      boot: { kind: 'kernel', path: '/no/such' },
    });
    await engine.define('web', '', { replace: false });
    await expect(starting).rejects.toThrow('/no/such');
    expect(engine.vms()).toMatchObject([{ id: 'web', state: 'off', defined: true }]);
  });
});

describe.skipIf(noKvm !== null)(onKvm('a VM with a name that was used before'), () => {
  const config = { name: 'web', memory: MEMORY, boot: { kind: 'kernel', ...KERNEL } } as const;

  test('is started at once when the first, which fails to start, is killed', async () => {
    const first = engineWith().start({ ...config, boot: { kind: 'kernel', path: '/no/such' } });
    first.catch(() => {});
    await engine.kill('web');
    await engine.start(config);
    // On a busy host it is killed before it gets there.
    await expect(first).rejects.toThrow(/\/no\/such|it was stopped/);
    expect(engine.vms()).toMatchObject([{ id: 'web', state: 'running' }]);
    await engine.kill('web');
    await engine.restart('web');
    expect(engine.vms()).toMatchObject([{ id: 'web', state: 'running' }]);
  });

  test("is shown to clients of the first one's console; later clients see only the new one", async () => {
    const first = await GuestVm.start(engineWith(), { append: 'run="exit 0"' });
    await first.reached('off');
    const before = first.output.length;
    const second = await GuestVm.start(engine);
    await first.printed(/> $/);
    await second.printed(/> $/);
    expect(first.output.slice(before)).toBe(second.output);
  });

  test('is not affected by the first, whose keyboard still has a holder', async () => {
    await engineWith().start(config);
    const link = engine.openConsole(
      'web',
      { printed: () => {} },
      { watcher: { name: 'anna@pts/1', answers: true } },
    );
    await link.takeKeyboard();
    await engine.kill('web');
    await engine.remove('web');
    events.length = 0;
    link.close();
    expect(events).toEqual([]);
  });
});

describe.skipIf(noKvm !== null)(onKvm('an engine that is closing'), () => {
  test('starts nothing any more, including VMs that crash in the meantime', async () => {
    const definitions = new Defined().add('web', { onCrash: 'restart' });
    definitions.append = 'run="crash"';
    const started = engineWith(definitions).restart('web');
    engine.refuseStarts();
    await started;
    await reached('web', 'crashed');
    await expect(engine.restart('web')).rejects.toThrow(
      'web is not started: the process that runs the VMs is ending',
    );
    expect(texts().filter(text => text === 'started')).toHaveLength(1);
  });
});
