import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RemoteEngine } from '../../../src/engine/remote/remote-engine.ts';
import type { Sample } from '../../../src/engine/sampling/sampling.ts';
import type { EngineEvent } from '../../../src/engine/vm-info.ts';
import { ConfigError } from '../../../src/vmm/machine/config.ts';
import { Rig } from '../../support/remote-rig.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const BUSY = {
  vcpus: [{ exits: { 2: { perSecond: 1234.5, nsEach: 700 } }, guest: 0.4, kvm: 0.05 }],
} as const;

describe('a remote engine', () => {
  test('knows the VMs and the log when it is attached, and is notified of changes', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    rig.engine.note('info', 'web', 'started');
    const engine = await rig.attach();
    expect(engine.vms()).toEqual(rig.engine.vms());
    expect(engine.log()).toEqual(rig.engine.log());
    expect(engine.manager).toMatchObject({ pid: 1, remote: true });

    const events: EngineEvent[] = [];
    engine.subscribe(event => events.push(event));
    rig.engine.become('web', 'paused');
    rig.engine.add('db', BUSY);
    rig.engine.note('warning', null, 'something');
    await until(() => engine.log().length === 2);
    expect(engine.vms()).toEqual(rig.engine.vms());
    expect(events.map(event => event.kind)).toEqual(['vm', 'vm', 'log']);
    await rig.engine.remove('db');
    await until(() => events.at(-1)?.kind === 'removed');
    expect(events.at(-1)).toEqual({ kind: 'removed', id: 'db' });
  });

  test('is notified that a VM is gone, even if another VM takes its name at once', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const engine = await rig.attach();
    const changes: string[] = [];
    engine.subscribe(event => {
      if (event.kind === 'vm') changes.push(`${event.vm.id} is ${event.vm.state}`);
      if (event.kind === 'removed') changes.push(`${event.id} is gone`);
    });
    const removed = rig.engine.remove('web');
    rig.engine.add('web', BUSY, { state: 'off' });
    await removed;
    await until(() => changes.length === 2);
    expect(changes).toEqual(['web is gone', 'web is off']);
  });

  test('performs actions, and knows their effects when they are done', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const engine = await rig.attach();
    await engine.pause('web');
    expect(engine.vms()[0]?.state).toBe('paused');
    await engine.define('new', 'name: new', { replace: false });
    expect(await engine.definition('new')).toBe('name: new');
    await engine.kill('web');
    await engine.remove('web');
    expect(engine.vms().map(vm => vm.id)).toEqual(['new']);
    expect(rig.engine.calls).toEqual(['pause web', 'define new', 'kill web', 'remove web']);
  });

  test("passes on the engine's error messages, and configuration errors as such", async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const engine = await rig.attach();
    rig.engine.failure = new Error('web is paused: resume it first');
    await expect(engine.reset('web')).rejects.toThrow(/^web is paused: resume it first$/);
    rig.engine.failure = new ConfigError([{ path: ['cpus'], message: 'at most 64 vCPUs' }]);
    await expect(engine.restart('web')).rejects.toThrow(ConfigError);
    await expect(engine.definition('db')).rejects.toThrow('there is no definition of db');
    expect(() => engine.openConsole('db', { printed: () => {} })).toThrow('there is no VM db');
  });

  test('can read but not change anything when read-only', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const engine = await rig.attach({ readOnly: true });
    for (const action of ['pause', 'resume', 'reset', 'powerButton', 'kill', 'restart', 'remove'] as const)
      await expect(engine[action]('web')).rejects.toThrow('attached read-only');
    await expect(engine.define('a', '', { replace: true })).rejects.toThrow('attached read-only');
    await expect(engine.start({ name: 'a', boot: { kind: 'kernel', path: 'k' } })).rejects.toThrow(
      'attached read-only',
    );
    let printed = '';
    const link = engine.openConsole('web', { printed: bytes => (printed += Buffer.from(bytes)) });
    rig.engine.print('web', 'hello');
    await until(() => printed === 'hello');
    await expect(link.takeKeyboard(true)).rejects.toThrow('attached read-only');
    link.type(Buffer.from('x'));
    await engine.log();
    expect(rig.engine.calls).toEqual([]);
    expect(rig.engine.typed.size).toBe(0);
  });

  test('samples with its own settings', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const [one, other] = [await rig.attach(), await rig.attach()];
    const samples: Sample[] = [];
    const sampling = one.sampling({ intervalMs: 100, paused: false, detailOf: 'web' }, sample =>
      samples.push(sample),
    );
    const others: Sample[] = [];
    other.sampling({ intervalMs: 60_000, paused: false, detailOf: null }, sample => others.push(sample));
    await until(() => samples.length >= 4);
    const { totals, detail } = samples.at(-1)!;
    expect(totals.web?.exits).toBeGreaterThan(1000);
    expect(String(totals.web?.exits).replace(/\D/g, '').replace(/0+$/, '').length).toBeLessThanOrEqual(4);
    expect(detail?.rates.vcpus[0]?.exits[0]).toMatchObject({ reason: 2 });
    expect(others.length).toBeLessThanOrEqual(1);
    await until(() => others.at(-1)?.detail === null);
    sampling.close();
    const { length } = samples;
    // Samples of an open sampler keep arriving.
    const open: Sample[] = [];
    one.sampling({ intervalMs: 100, paused: false, detailOf: null }, sample => open.push(sample));
    await until(() => open.length >= 3);
    expect(samples.length).toBeLessThanOrEqual(length + 1);
  });

  test('shows a console to many clients, and lets one type', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    rig.engine.print('web', 'login: ');
    const anna = await rig.attach({ terminal: 'anna@pts/1' });
    const ben = await rig.attach({ terminal: 'ben@pts/2' });
    const seen = ['', ''];
    const replays: boolean[] = [];
    const [annas, bens] = [anna, ben].map((engine, index) =>
      engine.openConsole('web', {
        printed: (bytes, replayed) => {
          seen[index] += Buffer.from(bytes).toString();
          replays.push(replayed);
        },
      }),
    );
    await until(() => seen.every(text => text === 'login: '));
    expect(replays).toEqual([true, true]);
    await annas!.takeKeyboard();
    await until(() => ben.vms()[0]?.keyboardHolder === 'anna@pts/1');
    await expect(bens!.takeKeyboard()).rejects.toThrow('anna@pts/1 has the keyboard');
    annas!.type(Buffer.from('root\r'));
    bens!.type(Buffer.from('nobody\r'));
    await until(() => rig.engine.typed.get('web') === 'root\r');
    bens!.setSize({ columns: 120, rows: 40 });
    annas!.setSize({ columns: 132, rows: 43 });
    await until(() => rig.engine.sizes.get('web') === '132 x 43');
    rig.engine.print('web', 'root\r\n');
    await until(() => seen.every(text => text === 'login: root\r\n'));

    // A client that leaves releases the keyboard.
    await anna.close();
    await until(() => ben.vms()[0]?.keyboardHolder === null);
    await bens!.takeKeyboard();
    await until(() => ben.vms()[0]?.keyboardHolder === 'ben@pts/2');
    expect(rig.engine.sizes.get('web')).toBe('120 x 40');
  });

  test('types long text in order', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const engine = await rig.attach();
    const link = engine.openConsole('web', { printed: () => {} });
    await link.takeKeyboard();
    const text = Array.from({ length: 20_000 }, (_, index) => `${index} `).join('');
    link.type(Buffer.from(text));
    await until(() => rig.engine.typed.get('web')?.length === text.length);
    expect(rig.engine.typed.get('web')).toBe(text);
  });

  test('reports that the manager is gone, finds the next one, and continues', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    rig.engine.add('db', BUSY);
    rig.engine.print('web', 'booted\n');
    const engine = await rig.attach();
    const samples: Sample[] = [];
    engine.sampling({ intervalMs: 100, paused: false, detailOf: null }, sample => samples.push(sample));
    let screen = '';
    const console = engine.openConsole('web', { printed: bytes => (screen += Buffer.from(bytes)) });
    await console.takeKeyboard();
    console.setSize({ columns: 100, rows: 30 });
    await until(() => rig.engine.sizes.get('web') === '100 x 30');
    rig.engine.sizes.clear();
    const events: EngineEvent[] = [];
    engine.subscribe(event => events.push(event));

    await rig.server.close('stopped by SIGTERM');
    await until(() => events.some(event => event.kind === 'link'));
    expect(events.at(-1)).toEqual({
      kind: 'link',
      loss: { kind: 'ended', text: 'stopped by SIGTERM' },
    });
    await expect(engine.pause('web')).rejects.toThrow('the manager cannot be reached: stopped by SIGTERM');
    expect(engine.vms()).toHaveLength(2);

    await rig.engine.remove('db');
    rig.engine.become('web', 'paused');
    await rig.serve();
    const back = Date.now();
    const isBack = (event: EngineEvent) => event.kind === 'link' && event.loss === null;
    await until(() => events.some(isBack));
    expect(Date.now() - back).toBeLessThan(1000);
    const before = events.slice(1, events.findIndex(isBack));
    expect(before.map(event => event.kind)).toEqual(['removed', 'vm']);
    expect(engine.vms()[0]).toMatchObject({ id: 'web', state: 'paused' });
    await until(() => screen.endsWith('\x1bcbooted\n'));
    await until(() => engine.vms()[0]?.keyboardHolder === 'anna@pts/1');
    expect(rig.engine.sizes.get('web')).toBe('100 x 30');
    const { length } = samples;
    await until(() => samples.length > length);
  });

  test('rejects pending requests when the connection breaks', async () => {
    const rig = await Rig.start();
    rig.engine.add('web', BUSY);
    const received = Promise.withResolvers<void>();
    rig.engine.pause = () => {
      received.resolve();
      return new Promise(() => {});
    };
    const engine = await rig.attach();
    const asked = expect(engine.pause('web')).rejects.toThrow('cannot be reached: it ended');
    await received.promise;
    await rig.server.close('it ended');
    await asked;
  });
});

describe('attaching', () => {
  /** A server that is not a manager: it answers the first message with `answer`. */
  async function impostor(answer: string): Promise<string> {
    const path = join(temporaryFolder(), 'control.sock');
    const server = createServer(socket => {
      socket.on('error', () => {});
      socket.once('data', () => (answer === '' ? socket.destroy() : socket.write(answer)));
    });
    await new Promise<void>(resolve => server.listen(path, resolve));
    onTestFinished(() => void server.close());
    return path;
  }
  const frame = (body: object) => {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 0, ...body });
    return `Content-Length: ${text.length}\r\n\r\n${text}`;
  };

  test.each([
    [
      'speaks a later protocol',
      frame({ result: { protocol: 9, version: '9.1.0' } }),
      /\(protocol 9\): use the newer vring here too/,
    ],
    ['refuses', frame({ error: { code: -32003, message: 'use 9.1.0' } }), /^use 9.1.0$/],
    [
      'speaks something else',
      'SSH-2.0-OpenSSH_9.2\r\n',
      /it sent what this vring does not understand: a message starts/,
    ],
    ['ends', '', /it closed the connection without giving a reason/],
  ])('fails with an explanation when the other end %s', async (_, answer, message) => {
    const path = await impostor(answer);
    await expect(RemoteEngine.attach({ path, terminal: 'me@pts/1' })).rejects.toThrow(message);
  });

  test('again, to a manager that refuses, reports it and keeps trying', async () => {
    const rig = await Rig.start();
    const engine = await rig.attach();
    const lost: (string | null)[] = [];
    engine.subscribe(event => {
      if (event.kind === 'link') lost.push(event.loss?.text ?? null);
    });
    await rig.server.close('it ended');
    const other = createServer(socket =>
      socket.write(frame({ error: { code: -32003, message: 'use 9.1.0' } })),
    );
    await new Promise<void>(resolve => other.listen(rig.path, resolve));
    await until(() => lost.includes('use 9.1.0'));
    other.close();
    await rig.serve();
    await until(() => lost.includes(null));
    expect(lost).toEqual(['it ended', 'use 9.1.0', null]);
  });
});

describe('the socket', () => {
  test('is accessible to its user alone', async () => {
    const rig = await Rig.start();
    const { stdout } = await execa('stat', ['-c', '%a', rig.path]);
    expect(stdout).toBe('600');
  });

  test.skipIf(process.getuid?.() !== 0)(
    'rejects another user that can reach it (skipped: needs root)',
    async () => {
      const rig = await Rig.start();
      chmodSync(dirname(rig.path), 0o755);
      chmodSync(rig.path, 0o666);
      const script =
        'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9999).decode(), s.recv(9))';
      const { stdout } = await execa('su', [
        'nobody',
        '-s',
        '/bin/sh',
        '-c',
        `/usr/bin/python3 -c '${script}' ${rig.path}`,
      ]);
      expect(stdout).toMatch(/user \d+ may not control VMs that run as user 0.* b''/s);
      expect(rig.notes).toContainEqual(
        expect.stringMatching(/^user \d+ \(process \d+\) is no longer attached/),
      );
    },
  );
});
