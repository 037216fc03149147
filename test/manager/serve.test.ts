import { chmodSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { builtFile } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import {
  attached,
  guest,
  isRunning,
  managerLog,
  NODE,
  startManager,
  withOwnFolders,
} from '../support/manager-process.ts';
import { until } from '../support/until.ts';

withOwnFolders();
const socket = () => join(process.env.VRING_RUNTIME_DIR!, 'control.sock');

describe('vring serve', () => {
  test('listens for its user alone, and leaves nothing behind when it is stopped', async () => {
    const manager = startManager();
    const engine = await attached();
    expect(engine.manager).toMatchObject({ pid: manager.pid, remote: true });
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect([mode(process.env.VRING_RUNTIME_DIR!), mode(socket())]).toEqual(['700', '600']);
    const lost: (string | null)[] = [];
    engine.subscribe(event => {
      if (event.kind === 'link') lost.push(event.loss?.text ?? null);
    });
    manager.kill('SIGTERM');
    const { exitCode, stderr } = await manager;
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/listening at .*control.sock\n.*ending: stopped by SIGTERM/s);
    expect(statSync(socket(), { throwIfNoEntry: false })).toBeUndefined();
    await until(() => lost.includes('stopped by SIGTERM'));
  });

  test('is the only one: a second one names the first, and does not harm it', async () => {
    const manager = startManager();
    const engine = await attached();
    const second = await startManager();
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toMatch(
      new RegExp(`^vring: the runtime folder .* is held by process ${manager.pid} of \\w+: vring serve`),
    );
    // In the background, it exits successfully if there already is one.
    expect((await startManager(['--background'])).exitCode).toBe(0);
    expect(await attached()).toMatchObject({ manager: { pid: manager.pid } });
    expect(engine.vms()).toEqual([]);
  });

  test('knows a definition that was written just before a client attached', async () => {
    startManager();
    await attached();
    const folder = process.env.VRING_DEFINITIONS_DIR!;
    mkdirSync(folder, { recursive: true });
    for (const name of ['one', 'two']) {
      writeFileSync(join(folder, `${name}.yaml`), 'memory: 64M\n');
      expect((await attached()).vms().map(vm => vm.name)).toContain(name);
    }
  });

  test('replaces one that was killed', async () => {
    const dead = startManager();
    await attached();
    dead.kill('SIGKILL');
    await dead;
    expect(statSync(socket()).isSocket()).toBe(true);
    const manager = startManager();
    await until(() => isRunning(manager.pid!));
    const engine = await attached();
    await until(() => engine.manager.pid === manager.pid);
  });

  test('survives the closing of its terminal', async () => {
    const manager = startManager();
    const engine = await attached();
    manager.kill('SIGHUP');
    await until(() => engine.log().some(entry => entry.text.includes('SIGHUP')));
    expect(isRunning(manager.pid!)).toBe(true);
  });

  test('refuses a runtime folder that others can write to', async () => {
    mkdirSync(process.env.VRING_RUNTIME_DIR!);
    chmodSync(process.env.VRING_RUNTIME_DIR!, 0o777);
    const { exitCode, stderr } = await startManager();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^vring: others can write to the folder .*: chmod 700 it, or choose another/);
  });

  test('notifies systemd when it is ready and when it ends', async () => {
    const path = join(process.env.VRING_DEFINITIONS_DIR!, 'notify');
    const receiver = execa(
      'python3',
      [
        '-c',
        'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nwhile True: print(s.recv(999).decode(), flush=True)',
        path,
      ],
      { reject: false, timeout: 25_000 },
    );
    let messages = '';
    receiver.stdout.on('data', chunk => {
      messages += chunk;
    });
    await until(() => statSync(path, { throwIfNoEntry: false }));
    const manager = startManager([], { NOTIFY_SOCKET: path });
    await until(() => messages.includes('READY=1'));
    await attached();
    manager.kill('SIGTERM');
    await manager;
    await until(() => /STOPPING=1\nEXTEND_TIMEOUT_USEC=75000000\n/.test(messages));
    receiver.kill();
    await receiver;
  });

  test('is reachable again after its folder was deleted', async () => {
    const manager = startManager();
    await attached();
    rmSync(process.env.VRING_RUNTIME_DIR!, { recursive: true });
    const engine = await attached();
    expect(engine.manager.pid).toBe(manager.pid);
    expect(engine.log().at(-1)?.text).toMatch(/was removed; it has been created again/);
  });

  test('keeps serving after an unexpected exception', async () => {
    const manager = startManager([], {
      NODE_OPTIONS: `--import=data:text/javascript,process.on('SIGWINCH',()=>{throw(new(Error)('injected'))})`,
    });
    const engine = await attached();
    manager.kill('SIGWINCH');
    await until(() => engine.log().some(entry => entry.text.includes('injected')));
    expect(engine.log().at(-1)).toMatchObject({ level: 'error' });
    expect(engine.log().at(-1)?.text).toMatch(/the VMs keep running: Error: injected\n +at /);
    expect(await attached()).toMatchObject({ manager: { pid: manager.pid } });
  });
});

describe('a background manager', () => {
  test('ends when no client is attached and no VM runs', async () => {
    const manager = startManager(['--background', '--idle-timeout', '1']);
    const engine = await attached();
    // Another one, to which no client attaches, is started later and ends.
    const other = join(process.env.VRING_DEFINITIONS_DIR!, 'other');
    const idle = await startManager(['--background', '--idle-timeout', '1'], {
      VRING_RUNTIME_DIR: join(other, 'run'),
      VRING_STATE_DIR: join(other, 'state'),
    });
    expect(idle.exitCode).toBe(0);
    expect(isRunning(manager.pid!)).toBe(true);
    await engine.close();
    expect((await manager).exitCode).toBe(0);
    expect(managerLog()).toMatch(/ending: no VM has run and no terminal was attached for 1 s/);
  });

  test('keeps running when its log cannot be written', async () => {
    mkdirSync(process.env.VRING_STATE_DIR!);
    symlinkSync('/dev/full', join(process.env.VRING_STATE_DIR!, 'manager.log'));
    const manager = startManager(['--background']);
    const engine = await attached();
    expect(engine.log()).toHaveLength(1);
    expect(isRunning(manager.pid!)).toBe(true);
  });
});

describe.skipIf(noKvm !== null)(onKvm('the VMs of a manager'), () => {
  test('outlive clients that are killed, and are shut down by the power button', async () => {
    const manager = startManager();
    const engine = await attached();
    await engine.start(guest('web', 'run="demo"'));
    const [node, ...args] = NODE;
    const client = execa(
      node!,
      [
        ...args,
        '--input-type=module',
        '-e',
        `import { connect } from './src/manager/connect.ts';
         const engine = await connect();
         await engine.openConsole('web', { printed: () => {} }).takeKeyboard();
         console.log('typing');`,
      ],
      { reject: false, timeout: 20_000 },
    );
    await until(() => engine.vms()[0]?.keyboardHolder !== null);
    expect(engine.vms()[0]?.keyboardHolder).toMatch(/@/);
    client.kill('SIGKILL');
    await client;
    await until(() => engine.vms()[0]?.keyboardHolder === null);
    await until(() =>
      engine.log().some(entry => /is no longer attached: it closed the connection/.test(entry.text)),
    );
    expect(engine.vms()[0]?.state).toBe('running');
    manager.kill('SIGTERM');
    const { stderr } = await manager;
    expect(stderr).toMatch(/web: off: the guest powered off/);
    expect(stderr).not.toContain('killed');
  });

  test('that ignore the power button are killed and named', async () => {
    const manager = startManager(['--shutdown-timeout', '1']);
    const engine = await attached();
    await engine.start(guest('deaf', 'run="spin 100s"'));
    manager.kill('SIGTERM');
    const { stderr, exitCode } = await manager;
    expect(stderr).toContain('killed, because they did not shut down in time: deaf');
    expect(exitCode).toBe(0);
  });

  test('are killed at once when the manager is asked to stop twice', async () => {
    const manager = startManager(['--shutdown-timeout', '3600']);
    const engine = await attached();
    await engine.start(guest('deaf', 'run="spin 100s"'));
    manager.kill('SIGTERM');
    await until(() => engine.log().some(entry => entry.text.startsWith('ending')));
    manager.kill('SIGINT');
    expect((await manager).exitCode).toBe(0);
  });

  test('with autostart start with the manager, unless a client started it', async () => {
    const definition = (name: string, autostart: boolean) =>
      writeFileSync(
        join(process.env.VRING_DEFINITIONS_DIR!, `${name}.yaml`),
        `name: ${name}\nmemory: 32M\nmachine:\n  kernel: ${builtFile('guest.elf')}\nautostart: ${autostart}\n`,
      );
    definition('a', true);
    definition('b', false);
    definition('c', true);
    writeFileSync(join(process.env.VRING_DEFINITIONS_DIR!, 'broken.yaml'), 'memory: [');
    const background = startManager(['--background']);
    const first = await attached();
    // The VM that was started runs; autostart would have been earlier.
    await first.restart('b');
    expect(first.vms().map(vm => [vm.id, vm.state])).toEqual([
      ['a', 'off'],
      ['b', 'running'],
      ['broken', 'off'],
      ['c', 'off'],
    ]);
    await first.kill('b');
    background.kill('SIGTERM');
    await background;

    startManager();
    const engine = await attached();
    await until(() => engine.vms().filter(vm => vm.state === 'running').length === 2);
    expect(engine.vms().map(vm => [vm.id, vm.state])).toEqual([
      ['a', 'running'],
      ['b', 'off'],
      ['broken', 'off'],
      ['c', 'running'],
    ]);
    const started = engine.log().filter(entry => entry.text === 'started');
    expect(started.map(entry => entry.vm)).toEqual(['a', 'c']);
  });

  test('have unique names, whichever process runs them', async () => {
    startManager();
    const engine = await attached();
    await engine.start(guest('web'));
    const other = { ...process.env, VRING_STATE_DIR: join(process.env.VRING_STATE_DIR!, 'other') };
    const [node, ...args] = NODE;
    const script = `import { lockVm } from './src/manager/vm-lock.ts'; lockVm('web');`;
    const { stderr } = await execa(node!, [...args, '--input-type=module', '-e', script], {
      env: other,
      reject: false,
    });
    expect(stderr).toContain(`the VM web is run by process ${engine.vms()[0]!.pid} of`);
    await engine.kill('web');
    expect((await execa(node!, [...args, '--input-type=module', '-e', script])).exitCode).toBe(0);
  });
});

describe('metrics', () => {
  test('are served at the given address as long as the manager runs', async () => {
    const manager = startManager(['--metrics', '127.0.0.1:0']);
    const engine = await attached();
    const url = engine
      .log()
      .map(entry => /serving metrics at (\S+)/.exec(entry.text)?.[1])
      .find(found => found !== undefined)!;
    expect(await (await fetch(url)).text()).toMatch(/^vring_build_info\{/m);
    manager.kill('SIGTERM');
    expect((await manager).exitCode).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  });

  test('that cannot be served keep the manager from starting', async () => {
    const first = startManager(['--metrics', `unix:${process.env.VRING_DEFINITIONS_DIR}/metrics.sock`]);
    await attached();
    const second = await startManager(
      ['--metrics', `unix:${process.env.VRING_DEFINITIONS_DIR}/metrics.sock`],
      {
        VRING_RUNTIME_DIR: join(process.env.VRING_DEFINITIONS_DIR!, 'run'),
        VRING_STATE_DIR: join(process.env.VRING_DEFINITIONS_DIR!, 'state'),
      },
    );
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toMatch(
      /^vring: metrics cannot be served at unix:.*: another process listens there/,
    );
    expect(isRunning(first.pid!)).toBe(true);
  });

  test.each([
    [['--metrics', '0.0.0.0:9177'], /other hosts could read the metrics.*--metrics-remote/],
    [['--metrics', 'somewhere'], /expected ADDRESS:PORT/],
    [['--metrics-remote'], /--metrics-remote needs --metrics/],
  ])('%j is wrong usage', async (args, message) => {
    const { exitCode, stderr } = await startManager(args);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });
});
