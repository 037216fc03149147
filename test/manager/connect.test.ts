import { chmodSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { connect, connectOrStart } from '../../src/manager/connect.ts';
import { ensurePrivateFolder, managerLock, managerPaths } from '../../src/manager/paths.ts';
import { startFirstManager, takeFirstManager } from '../../src/manager/start-manager.ts';
import { lockOwnership } from '../../src/manager/vm-lock.ts';
import {
  attached,
  isRunning,
  killedAtEnd,
  leftAtEnd,
  managerLog,
  NODE,
  startManager,
  withOwnFolders,
} from '../support/manager-process.ts';
import { until } from '../support/until.ts';

withOwnFolders();

/** A process that starts a manager if there is none, and prints which one it attached to. */
function client(): Promise<{ stdout: string }> {
  const [node, ...args] = NODE;
  const script = `import { connectOrStart } from './src/manager/connect.ts';
    const engine = await connectOrStart();
    console.log(engine.manager.pid);
    await engine.close();`;
  return execa(node!, [...args, '--input-type=module', '-e', script], { timeout: 25_000 });
}

describe('connect', () => {
  test('finds no manager where none runs', async () => {
    expect(await connect()).toBeNull();
  });

  test('finds no manager where one was killed', async () => {
    const manager = startManager();
    await attached();
    manager.kill('SIGKILL');
    await manager;
    expect(await connect()).toBeNull();
  });

  test('does not report VMs as off that a manager with another socket runs', async () => {
    const { runtime, state } = managerPaths();
    const elsewhere = `${runtime}-elsewhere`;
    for (const folder of [elsewhere, runtime, state]) ensurePrivateFolder(folder);
    const other = lockOwnership({ runtime: elsewhere, state });
    const message = new RegExp(`held by process ${process.pid} of .*, whose socket is not in ${runtime}:`);
    await expect(connect()).rejects.toThrow(message);
    await expect(connectOrStart()).rejects.toThrow(message);
    rmSync(runtime, { recursive: true });
    await expect(connect()).rejects.toThrow(message);
    other.release();
    rmSync(elsewhere, { recursive: true });
    ensurePrivateFolder(runtime);
    // A manager that is starting or ending holds both.
    const own = lockOwnership({ runtime, state });
    expect(await connect()).toBeNull();
    own.release();
  });

  test('attaches any number of clients to the running manager', async () => {
    const manager = startManager();
    const first = await attached();
    const second = leftAtEnd((await connect())!);
    expect([first.manager.pid, second.manager.pid]).toEqual([manager.pid, manager.pid]);
    expect((await second.managerStatus()).clients).toBe(2);
  });

  test('may be read-only', async () => {
    startManager();
    const engine = await attached({ readOnly: true });
    await expect(engine.kill('web')).rejects.toThrow('read-only');
  });
});

describe('connectOrStart', () => {
  test('starts one with the same folders, given by relative paths', async () => {
    const before = managerPaths();
    for (const name of ['VRING_RUNTIME_DIR', 'VRING_STATE_DIR', 'VRING_DEFINITIONS_DIR'])
      process.env[name] = relative('.', process.env[name]!);
    const engine = leftAtEnd(await connectOrStart());
    killedAtEnd(engine.manager.pid);
    expect((await engine.managerStatus()).socket).toBe(before.socket);
  });

  test('says why one cannot keep its log or its locks', async () => {
    const { state, log } = managerPaths();
    mkdirSync(log, { recursive: true });
    chmodSync(state, 0o700);
    await expect(connectOrStart()).rejects.toThrow(
      `the manager's log ${log} cannot be written: illegal operation on a directory (EISDIR); choose another folder`,
    );
    rmdirSync(log);
    mkdirSync(managerLock(state));
    await expect(connectOrStart()).rejects.toThrow(
      `the manager could not start: cannot open the lock file ${managerLock(state)}: it is a directory: remove it`,
    );
  });

  test('starts a manager that outlives the process that started it', async () => {
    const pid = Number((await client()).stdout);
    killedAtEnd(pid);
    expect(isRunning(pid)).toBe(true);
    // A separate session, without a terminal, and outside folders that may be unmounted.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    const [, , , session, terminal] = stat;
    expect([Number(session), Number(terminal)]).toEqual([pid, 0]);
    const { stdout: cwd } = await execa('readlink', [`/proc/${pid}/cwd`]);
    expect(cwd).toBe('/');
    const engine = leftAtEnd(await connectOrStart());
    expect(engine.manager.pid).toBe(pid);
    expect(managerLog()).toContain('listening at');
  });

  test('attaches to the new manager before it does anything else', async () => {
    startFirstManager();
    const engine = leftAtEnd(await connectOrStart());
    killedAtEnd(engine.manager.pid);
    expect(managerLog().match(/listening at|is not needed/g)).toEqual(['listening at']);
    // There is one now.
    startFirstManager();
    expect(takeFirstManager()).toBeNull();
  });

  test.each(['socket', 'runtime', 'state'] as const)(
    'starts no manager before it has looked for one where the %s has traces of it',
    key => {
      const paths = managerPaths();
      const trace = key === 'socket' ? paths.socket : managerLock(paths[key]);
      mkdirSync(dirname(trace), { recursive: true });
      writeFileSync(trace, '');
      startFirstManager();
      expect(takeFirstManager()).toBeNull();
    },
  );

  test('starts one manager for two clients that start at once', async () => {
    const [one, other] = await Promise.all([client(), client()]);
    killedAtEnd(Number(one.stdout));
    killedAtEnd(Number(other.stdout));
    expect(one.stdout).toBe(other.stdout);
  });

  test('starts a manager while the last one is still ending', async () => {
    const paths = managerPaths();
    ensurePrivateFolder(paths.runtime);
    ensurePrivateFolder(paths.state);
    const last = lockOwnership(paths);
    const attaching = connectOrStart();
    // The first that is started finds the lock taken, and ends.
    const refused = await until(() => /this manager \(process (\d+)\) is not needed/.exec(managerLog()));
    last.release();
    const engine = leftAtEnd(await attaching);
    killedAtEnd(engine.manager.pid);
    expect(engine.manager.pid).not.toBe(Number(refused[1]));
  });

  test('reports the error of a new manager that could not start', async () => {
    rmSync(process.env.VRING_DEFINITIONS_DIR!, { recursive: true });
    writeFileSync(process.env.VRING_DEFINITIONS_DIR!, 'not a folder');
    mkdirSync(process.env.VRING_STATE_DIR!);
    writeFileSync(join(process.env.VRING_STATE_DIR!, 'manager.log'), 'what the one before said\n');
    const failed = connectOrStart();
    await expect(failed).rejects.toThrow(
      /could not start: the definitions in .*: \/.* is not a folder: move that file away/,
    );
    await expect(failed).rejects.not.toThrow('the one before');
  });
});
