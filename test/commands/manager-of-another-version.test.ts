import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { builtFile } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { isRunning, killedAtEnd, NODE, withOwnFolders } from '../support/manager-process.ts';

withOwnFolders();

const CLI = join(import.meta.dirname, '../../src/cli.ts');
const REFUSAL = 'this is vring 9 (protocol 2), and the VMs run in vring 0.1 (protocol 1): shut its VMs down';

/**
 * A manager as far as other versions may know it: it listens, refuses the hello or welcomes with its own protocol, locks its
 * VMs, and ends by a number of SIGTERMs.
 */
function script(answer: object, vms: readonly string[], signals: number): string {
  return `
    import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
    import { createServer } from 'node:net';
    const run = process.env.VRING_RUNTIME_DIR;
    mkdirSync(run + '/vms', { recursive: true, mode: 0o700 });
    const locks = ${JSON.stringify(vms)}.map(name => run + '/vms/' + name + '.lock');
    for (const lock of locks) writeFileSync(lock, 'process ' + process.pid + ' of anna: vring serve');
    writeFileSync(run + '/vms/other.lock', 'process ' + process.ppid + ' of anna: vring run other');
    const server = createServer(socket => {
      socket.on('error', () => {});
      socket.once('data', data => {
        const { id, method } = JSON.parse(/\\r\\n\\r\\n(.*)/s.exec(data)[1]);
        if (method !== 'hello') process.exit(9);
        const text = JSON.stringify({ jsonrpc: '2.0', id, ...${JSON.stringify(answer)} });
        socket.write('Content-Length: ' + Buffer.byteLength(text) + '\\r\\n\\r\\n' + text);
      });
    });
    let left = ${signals};
    process.on('SIGTERM', () => {
      if (--left > 0) return;
      for (const lock of locks) rmSync(lock);
      process.exit(0);
    });
    server.listen(run + '/control.sock', () => console.log('listens'));`;
}

async function fakeManager(answer: object, vms: readonly string[] = [], signals = 1) {
  const [node, ...args] = NODE;
  const manager = execa(node!, [...args, '--input-type=module', '-e', script(answer, vms, signals)], {
    reject: false,
    stdin: 'ignore',
  });
  onTestFinished(async () => {
    manager.kill('SIGKILL');
    await manager;
  });
  await once(manager.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
  return { pid: manager.pid!, ended: manager };
}

async function vringManager(...args: string[]) {
  const [node, ...nodeArgs] = NODE;
  return execa(node!, [...nodeArgs, CLI, 'manager', ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: 60_000,
  });
}

const PROTOCOL_1 = { error: { code: -32003, message: REFUSAL } };

describe('a manager of another version', () => {
  test.each([
    ['refuses this one', PROTOCOL_1],
    ['welcomes this one', { result: { protocol: 99, version: '9.0', pid: 1, startedAt: 0 } }],
  ])('that %s is stopped by signal', async (_, answer) => {
    const manager = await fakeManager(answer, ['db', 'web']);
    const { stdout, exitCode } = await vringManager('stop', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).stopped).toEqual({
      status: { pid: manager.pid, unit: null },
      vms: ['db', 'web'],
      killed: [],
      kept: [],
    });
    expect((await manager.ended).exitCode).toBe(0);
  });

  test('gets a second signal if its guests take too long', async () => {
    const manager = await fakeManager(PROTOCOL_1, ['deaf'], 2);
    const { stdout, stderr, exitCode } = await vringManager('stop', '--force');
    expect([stdout, exitCode]).toEqual([`stopped the manager (process ${manager.pid}), and its VM deaf`, 0]);
    expect(stderr).toContain('killed, because they did not shut down in time: deaf');
  });

  test('keeps running if restart could not start its VMs again', async () => {
    const manager = await fakeManager(PROTOCOL_1, ['adhoc']);
    const { stderr, exitCode } = await vringManager('restart');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('adhoc could not be started again without a definition');
    expect(isRunning(manager.pid)).toBe(true);
  });

  test('cannot be stopped without the VMs in its process', async () => {
    const manager = await fakeManager(PROTOCOL_1, ['web']);
    const { stderr, exitCode } = await vringManager('stop', '--keep-vms');
    expect([stderr, exitCode]).toEqual([
      'vring: web cannot be kept: the VMs of this version end with their manager',
      1,
    ]);
    expect(isRunning(manager.pid)).toBe(true);
  });

  test('keeps running if it answers with another error', async () => {
    const manager = await fakeManager({ error: { code: -32000, message: 'it is full' } });
    const { stderr, exitCode } = await vringManager('stop');
    expect([stderr, exitCode]).toEqual(['vring: it is full', 1]);
    expect(isRunning(manager.pid)).toBe(true);
  });

  test.skipIf(noKvm !== null)(
    onKvm('is replaced by restart, with its VMs'),
    async () => {
      const kernel = builtFile('guest.elf');
      writeFileSync(
        join(process.env.VRING_DEFINITIONS_DIR!, 'web.yaml'),
        `name: web\nmemory: 32M\nmachine:\n  kernel: ${kernel}\n`,
      );
      const config = {
        name: 'adhoc',
        memory: { bytes: 2 ** 25 },
        boot: { kind: 'kernel', path: kernel, append: '' },
      };
      mkdirSync(process.env.VRING_STATE_DIR!, { mode: 0o700 });
      const record = { version: 1, pid: 1, vms: [{ name: 'adhoc', config }, { name: 'web' }] };
      const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
      writeFileSync(
        join(process.env.VRING_STATE_DIR!, 'running.json'),
        JSON.stringify({ ...record, bootId }),
      );
      await fakeManager(PROTOCOL_1, ['adhoc', 'web']);
      const { stdout, exitCode } = await vringManager('restart', '--json');
      const { manager, vms } = JSON.parse(stdout);
      killedAtEnd(manager.pid);
      expect([exitCode, vms]).toEqual([
        0,
        [
          { name: 'adhoc', state: 'running', reason: null, kept: false },
          { name: 'web', state: 'running', reason: null, kept: false },
        ],
      ]);
      expect((await vringManager('stop')).exitCode).toBe(0);
    },
    60_000,
  );
});
