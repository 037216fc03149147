import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../../../src/project-root.ts';
import { type ExitStatus, signalProcess, watchExit } from '../../../src/vmm/confinement/exit-status.ts';
import {
  type ConfinedProcess,
  type SpawnOptions,
  spawnConfined,
} from '../../../src/vmm/confinement/spawn-confined.ts';
import { pidfdOpen } from '../../../src/vmm/native/libc.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folder = temporaryFolder();
const opened: number[] = [];
const running: ConfinedProcess[] = [];

afterEach(() => {
  for (const { pidfd } of running.splice(0)) {
    signalProcess(pidfd, 'SIGKILL');
    closeSync(pidfd);
  }
  for (const fd of opened.splice(0)) closeSync(fd);
});

function start(options: Partial<SpawnOptions> & Pick<SpawnOptions, 'path' | 'args'>): ConfinedProcess {
  const started = spawnConfined({ env: {}, ...options });
  running.push(started);
  return started;
}

type Ran = { readonly said: string; readonly end: ExitStatus };

/** Runs a script in a confined Node. */
async function runNode(script: string, options: Partial<SpawnOptions> = {}): Promise<Ran> {
  return ran({ path: process.execPath, args: ['-e', script], ...options });
}

async function ran(options: Partial<SpawnOptions> & Pick<SpawnOptions, 'path' | 'args'>): Promise<Ran> {
  const path = join(folder, 'output');
  const output = openSync(path, 'w');
  opened.push(output);
  const { pidfd } = start({ stdio: [null, output, output], ...options });
  const end = await watchExit(pidfd);
  return { said: readFileSync(path, 'utf8').trim(), end };
}

describe('a confined process', () => {
  it('has its arguments, environment, folder and exit status', async () => {
    const script = 'console.log(process.argv.slice(1).join(), process.env.A, process.cwd()); process.exit(7)';
    const args = ['-e', script, 'one', 'two words'];
    const options = { path: process.execPath, args, env: { A: 'b=c', B: undefined }, cwd: '/proc' };
    expect(await ran(options)).toEqual({ said: 'one,two words b=c /proc', end: { code: 7, signal: null } });
  });

  it('leads its own session, as the first process of its PID namespace', async () => {
    const { said } = await runNode(
      `const [id, session] = fs.readFileSync('/proc/self/stat', 'utf8').split(' ').flatMap((x, i) => i === 0 || i === 5 ? [x] : []);
       console.log(process.pid, id === session)`,
    );
    expect(said).toBe('1 true');
  });

  it('has the given fds from 3 on, in order, and no others', async () => {
    const names = ['first', 'second', 'third'];
    const fds = names.map(name => {
      const path = join(folder, name);
      writeFileSync(path, name);
      return openSync(path, 'r');
    });
    opened.push(...fds);
    // Crossed over, so that each one's number is another's target.
    const crossed = [fds[2]!, fds[0]!, fds[1]!];
    const script = `const read = fd => fs.readFileSync(fd, 'utf8');
      console.log(read(3), read(4), read(5), fs.readdirSync('/proc/self/fd').filter(fd =>
        { try { return /vring|vitest|native/.test(fs.readlinkSync('/proc/self/fd/' + fd)) } catch { return false } }).join())`;
    const { said } = await runNode(script, { fds: crossed });
    expect(said).toBe('third first second 1,2,3,4,5');
    const here = Buffer.alloc(5);
    expect(readSync(fds[0]!, here, 0, 5, 0)).toBe(5);
  });

  it('has default signals, whatever this process ignores or blocks', async () => {
    process.on('SIGUSR2', () => {});
    try {
      const { said } = await ran({ path: '/bin/cat', args: ['/proc/self/status'] });
      const signals = Array.from(said.matchAll(/^Sig(?:Blk|Ign|Cgt):\s+(\w+)/gm), ([, set]) => set);
      expect(signals).toEqual(Array(3).fill('0'.repeat(16)));
    } finally {
      process.removeAllListeners('SIGUSR2');
    }
  });

  it('can be killed by SIGKILL, and by SIGTERM with a handler', async () => {
    const forever = 'setInterval(() => {}, 1e6); fs.writeSync(1, "up")';
    const ready = async (script: string) => {
      const path = join(folder, 'ready');
      const output = openSync(path, 'w');
      opened.push(output);
      const started = start({ path: process.execPath, args: ['-e', script], stdio: [null, output, 2] });
      const end = watchExit(started.pidfd);
      while (readFileSync(path, 'utf8') !== 'up') await new Promise(setImmediate);
      return { ...started, end };
    };
    const killed = await ready(forever);
    expect(signalProcess(killed.pidfd, 'SIGKILL')).toBe(true);
    expect(await killed.end).toEqual({ code: null, signal: 'SIGKILL' });
    expect(signalProcess(killed.pidfd, 'SIGKILL')).toBe(false);

    const asked = await ready(`process.on('SIGTERM', () => process.exit(5)); ${forever}`);
    signalProcess(asked.pidfd, 'SIGTERM');
    expect(await asked.end).toEqual({ code: 5, signal: null });
  });

  it('that crashes ends by its signal, although it is the first of its namespace', async () => {
    const koffi = JSON.stringify(join(projectRoot(), 'node_modules/koffi'));
    const fault = `require(${koffi}).load(null).func('size_t strlen(void *)')(8n)`;
    expect(await runNode(fault)).toEqual({ said: '', end: { code: null, signal: 'SIGSEGV' } });
    // Its abort(3), which a signal to itself does not end, is a fault too.
    const { end } = await runNode('process.abort()');
    expect(end).toEqual({ code: null, signal: 'SIGSEGV' });
    const { end: outside } = await runNode('process.abort()', {
      confinement: { off: ['pid-namespace'] },
    });
    expect(outside).toEqual({ code: null, signal: 'SIGABRT' });
  });
});

it('a process that is not a child can be waited for, but not its exit status', async () => {
  const { stdout } = await execa('sh', ['-c', 'sleep infinity >/dev/null 2>&1 & echo $!']);
  const pidfd = pidfdOpen(Number(stdout));
  opened.push(pidfd);
  const end = watchExit(pidfd);
  expect(signalProcess(pidfd, 'SIGTERM')).toBe(true);
  expect(await end).toEqual({ code: null, signal: null });
});

it('resource limits are set, and there are no core files', async () => {
  const { said } = await runNode('process.stdout.write(fs.readFileSync("/proc/self/limits", "utf8"))', {
    confinement: { rlimits: { nofile: 200, memlock: 'unlimited' } },
  });
  expect(said).toMatch(/^Max core file size +0 +0 /m);
  expect(said).toMatch(/^Max open files +200 +200 /m);
});

describe('a process that cannot be started', () => {
  const attempt = (options: Partial<SpawnOptions>) => () =>
    start({ path: process.execPath, args: [], ...options });

  it('fails with the reason', () => {
    const none = join(folder, 'none');
    expect(attempt({ path: none })).toThrow(
      expect.objectContaining({
        code: 'ENOENT',
        message: `${none} cannot be started: it, or the loader that it names, does not exist`,
      }),
    );
    const text = join(folder, 'text');
    writeFileSync(text, 'not a program', { mode: 0o755 });
    expect(attempt({ path: text })).toThrow(`${text} cannot be started: it is not a program for this system`);
    expect(attempt({ path: folder })).toThrow(
      `${folder} cannot be started: it is not executable for this user`,
    );
    expect(attempt({ cwd: none })).toThrow(
      `${process.execPath} cannot be started in ${none}: chdir ${none}: ENOENT (no such file or directory)`,
    );
    expect(attempt({ fds: [9999] })).toThrow(
      `${process.execPath} cannot be given its files: one of them is not open`,
    );
    expect(attempt({ args: ['a\0b'] })).toThrow('"a\\0b" has a NUL character');
  });

  it('leaves no process and no fd behind', () => {
    const left = () => [readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8'), lowestFreeFd()];
    const before = left();
    for (let i = 0; i < 50; i++) expect(attempt({ path: join(folder, 'none') })).toThrow('does not exist');
    expect(left()).toEqual(before);
  });
});

function lowestFreeFd(): number {
  const fd = openSync('/dev/null', 'r');
  closeSync(fd);
  return fd;
}
