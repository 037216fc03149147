import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { builtFile, projectRoot } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { PtyProgram } from '../support/pty-program.ts';
import { Sandbox, VRING } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();
const sandbox = new Sandbox(folder);
const GUEST = builtFile('guest.elf');

afterAll(endManager);

/** Whoever needs another one, and whoever is done. */
async function endManager(): Promise<void> {
  const pid = await sandbox.managerPid().catch(() => null);
  if (pid === null) return;
  process.kill(pid, 'SIGKILL');
  await until(() => !existsSync(`/proc/${pid}`) || stateOf(pid) === 'Z');
}

/** A shell with job control, in which `vring` is the program under test. */
async function shell(): Promise<PtyProgram> {
  const program = new PtyProgram(['bash', '--norc', '--noprofile', '-i'], {
    columns: 100,
    env: { ...sandbox.env, PS1: 'shell> ' },
  });
  await program.shows('shell>');
  program.type(`alias vring=${VRING}; stty -a | grep -o -- '-\\?icanon'; clear\r`);
  await program.shows(/^shell>\s*$/);
  return program;
}

/** The terminal is the shell's: what is typed is echoed and carried out, on its ordinary screen. */
async function isTheShells(terminal: PtyProgram, word: string): Promise<void> {
  terminal.type(`stty -a | grep -o -- '-\\?icanon' | sed 's/^/${word} /'\r`);
  // Readline is raw itself; a command that it starts has the terminal as the shell keeps it.
  await terminal.shows(new RegExp(`^${word} icanon`, 'm'));
}

describe('job control', () => {
  test('Ctrl-Z suspends the UI, and fg resumes it', async () => {
    await using terminal = await shell();
    terminal.type('vring\r');
    await terminal.shows('q quit');
    terminal.type('\x1a');
    await terminal.shows('Stopped');
    await isTheShells(terminal, 'first');
    terminal.type('fg\r');
    await terminal.shows('q quit');
    // From wherever one is.
    terminal.type('?');
    await terminal.shows('Sort by');
    terminal.type('\x1a');
    await terminal.shows('Stopped');
    await isTheShells(terminal, 'second');
    terminal.type('fg\r');
    await terminal.shows('Sort by');
    terminal.type('\x1b');
    await terminal.shows('q quit');
    terminal.type('q');
    await terminal.shows('shell>');
    await isTheShells(terminal, 'third');
  });

  test('Ctrl-Z also suspends vring top', async () => {
    await using terminal = await shell();
    terminal.type('vring serve --background --idle-timeout 60 & sleep 0; vring vm list\r');
    await terminal.shows('shell>');
    terminal.type('clear; vring top\r');
    await terminal.shows('CPU');
    terminal.type('\x1a');
    await terminal.shows('Stopped');
    await isTheShells(terminal, 'first');
    terminal.type('fg\r');
    await terminal.shows('CPU');
    terminal.type('q');
    await terminal.shows(/vring top\nshell>\s*$/);
    await isTheShells(terminal, 'second');
  });

  test.skipIf(noKvm !== null)(
    onKvm('a console is suspended by a signal, because the key belongs to the guest'),
    async () => {
      await using terminal = await shell();
      terminal.type(`vring run --name stopped ${GUEST}\r`);
      await terminal.shows('console of stopped');
      const pid = await jobOf(terminal);
      process.kill(pid, 'SIGTSTP');
      await terminal.shows('Stopped');
      await isTheShells(terminal, 'first');
      terminal.type('fg\r');
      await until(() => stateOf(pid) !== 'T');
      terminal.type('\x1d');
      await terminal.shows('keeps running');
      await isTheShells(terminal, 'second');
      await sandbox.vring('vm', 'kill', 'stopped');
    },
  );

  test.each(['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGINT'] as const)('%s restores the terminal', async signal => {
    await using terminal = await shell();
    terminal.type('vring\r');
    await terminal.shows('q quit');
    process.kill(await jobOf(terminal), signal);
    await terminal.shows(/shell>\s*$/);
    await isTheShells(terminal, 'after');
  });
});

/** The state of a process (proc(5)): T when it is stopped. */
const stateOf = (pid: number) => /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))![1];

/** The process in the foreground of a shell's terminal. */
async function jobOf(terminal: PtyProgram): Promise<number> {
  const read = () => Number(readFileSync(`/proc/${terminal.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[5]);
  await until(() => read() !== terminal.pid);
  return read();
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`it does not come true: ${holds}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Does a process listen on TCP, as Node's debugger does? */
function listens(pid: number): boolean {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).map(fd => {
      try {
        return /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        return undefined;
      }
    }),
  );
  const LISTEN = '0A';
  return ['tcp', 'tcp6'].some(table =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .some(([, , , state, , , , , , inode]) => state === LISTEN && sockets.has(inode)),
  );
}

describe('SIGUSR1 opens no debugger', () => {
  const NODE = join(projectRoot(), 'node_modules/.bin/node');
  // A free port.
  const env = { ...process.env, ...sandbox.env, NODE_OPTIONS: '--inspect-port=0' };
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function start(program: string, ...args: string[]): Promise<ChildProcess> {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    children.push(child);
    return new Promise((resolve, reject) => {
      for (const stream of [child.stdout!, child.stderr!]) stream.once('data', () => resolve(child));
      child.once('exit', code => reject(new Error(`it ended with ${code}`)));
    });
  }

  test.each([
    ['the launcher', VRING, ['serve']],
    ['the bundle itself', NODE, [builtFile('cli.js'), 'serve']],
  ] as const)('in %s', async (_name, program, args) => {
    await endManager();
    const ours = await start(program, ...args);
    const control = await start(NODE, '-e', "console.log('up'); setInterval(() => {}, 1000)");
    for (const child of [ours, control]) process.kill(child.pid!, 'SIGUSR1');
    await until(() => listens(control.pid!));
    expect(listens(ours.pid!)).toBe(false);
    expect(ours.exitCode).toBe(null);
    expect(await sandbox.managerPid()).toBe(ours.pid);
  });
});
