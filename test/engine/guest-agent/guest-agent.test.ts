import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { AgentStream } from '../../../src/engine/guest-agent/agent-stream.ts';
import { execInGuest } from '../../../src/engine/guest-agent/exec.ts';
import { whileFrozen } from '../../../src/engine/guest-agent/frozen.ts';
import { GuestAgent } from '../../../src/engine/guest-agent/guest-agent.ts';
import { readGuestFacts } from '../../../src/engine/guest-agent/guest-facts.ts';
import { until } from '../../support/until.ts';

const QEMU_GA = '/usr/sbin/qemu-ga';
if (!existsSync(QEMU_GA)) console.warn('skipped: there is no qemu-ga (apt-get install qemu-guest-agent)');

const left: (() => void)[] = [];
afterEach(() => {
  for (const end of left.splice(0)) end();
});

/** Debian's guest agent, run for this host. */
async function realAgent(): Promise<GuestAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'vring-agent-'));
  const path = join(folder, 'agent.sock');
  const args = ['-m', 'unix-listen', '-p', path, '-t', folder, '-f', join(folder, 'pid')];
  const process: ChildProcess = spawn(QEMU_GA, args, { stdio: 'ignore' });
  left.push(() => {
    process.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  await until(() => existsSync(path));
  const socket: Socket = connect(path);
  left.push(() => socket.destroy());
  const agent = new GuestAgent({ send: bytes => socket.write(bytes), room: async () => {} });
  socket.on('data', bytes => agent.received(bytes));
  return agent;
}

describe.skipIf(!existsSync(QEMU_GA))("Debian's guest agent", () => {
  test('reports facts about its machine', async () => {
    const facts = await readGuestFacts(await realAgent());
    expect(facts).toMatchObject({ hostname: hostname(), version: expect.stringMatching(/^\d+\.\d+/) });
    expect(facts.os).not.toBeNull();
    expect(facts.interfaces.flatMap(({ addresses }) => addresses)).not.toContain('127.0.0.1');
  });

  test('runs programs with input, output and exit status', async () => {
    const agent = await realAgent();
    const run = (args: string[], more = {}) =>
      execInGuest(agent, { path: '/bin/sh', args, timeoutMs: 20_000, ...more });
    const decode = (text: string) => Buffer.from(text, 'base64').toString();
    const end = await run(['-c', 'cat; echo "$NAME" >&2; exit 3'], {
      input: Buffer.from('some input').toString('base64'),
      env: ['NAME=value'],
    });
    expect([decode(end.stdout), decode(end.stderr), end.exitCode]).toEqual(['some input', 'value\n', 3]);
    const killed = await run(['-c', 'kill -9 $$']);
    expect(killed).toMatchObject({ exitCode: null, signal: 9 });
    const much = await run(['-c', 'head -c 3000000 /dev/zero']);
    expect(Buffer.from(much.stdout, 'base64')).toHaveLength(3_000_000);
    await expect(run(['-c', 'sleep 30'], { timeoutMs: 100 })).rejects.toThrow('keeps running in the guest');
    await expect(execInGuest(agent, { path: '/no/program', args: [], timeoutMs: 1000 })).rejects.toThrow(
      'the guest agent refuses guest-exec',
    );
    // It is still synchronized.
    expect(decode((await run(['-c', 'echo on'])).stdout)).toBe('on\n');
  });

  test('is synchronized, whatever bytes came before', async () => {
    const agent = await realAgent();
    agent.received(Buffer.from('garbage\n{"return": 5}\nmore'));
    await agent.request('guest-ping', { returns: z.object({}) });
    await expect(agent.request('guest-no-such', { returns: z.unknown() })).rejects.toThrow(
      'has not been found',
    );
    await agent.request('guest-ping', { returns: z.object({}) });
  });
});

/** An agent whose replies the test chooses. */
function falseAgent(answerTo: (command: string, id: number) => string | null) {
  const sent: string[] = [];
  const agent: GuestAgent = new GuestAgent({
    send: bytes => {
      const text = Buffer.from(bytes).toString('latin1').replace('\xff', '');
      if (text.trim() === '') return;
      const { execute, arguments: args = {} } = JSON.parse(text);
      sent.push(execute);
      const answer = answerTo(execute, args.id);
      if (answer !== null) setImmediate(() => agent.received(Buffer.from(answer, 'latin1')));
    },
    room: async () => {},
  });
  return { agent, sent };
}

const inStep = (id: number) => `\xff{"return": ${id}}\n`;

describe('a hostile agent', () => {
  test.each([
    ['nothing that is JSON', 'no JSON\n', 'is not JSON'],
    ['an answer of another kind', '{"return": "text"}\n', 'not valid'],
    ['neither a result nor an error', '{"hello": 1}\n', 'malformed'],
    ['a line without an end', `{"return": "${'x'.repeat(2 ** 20)}`, 'more than 1048576 bytes'],
    ['errors of any length', `{"error": {"class": "a", "desc": "${'y'.repeat(5000)}"}}\n`, 'malformed'],
  ])('is rejected: %s', async (_what, answer, reason) => {
    const { agent } = falseAgent((command, id) => (command.startsWith('guest-sync') ? inStep(id) : answer));
    await expect(agent.request('guest-ping', { returns: z.object({}) })).rejects.toThrow(reason);
  });

  test('is silent: the next command synchronizes again', async () => {
    let silent = true;
    const { agent, sent } = falseAgent((command, id) => {
      if (command.startsWith('guest-sync')) return inStep(id);
      return silent ? null : '{"return": {}}\n';
    });
    const ping = () => agent.request('guest-ping', { returns: z.object({}), timeoutMs: 50 });
    await expect(ping()).rejects.toThrow('does not answer');
    silent = false;
    await ping();
    await ping();
    expect(sent).toEqual([
      ...['guest-sync-delimited', 'guest-ping', 'guest-sync-delimited', 'guest-ping', 'guest-ping'],
    ]);
  });

  test('is closed with its machine', async () => {
    const { agent } = falseAgent(() => null);
    const waiting = agent.request('guest-ping', { returns: z.object({}) });
    setImmediate(() => agent.close('the VM is off'));
    await expect(waiting).rejects.toThrow('the VM is off');
    await expect(agent.request('guest-ping', { returns: z.object({}) })).rejects.toThrow('the VM is off');
  });
});

describe('frozen file systems', () => {
  const answers = (thaws: { tries: number; works: number }) =>
    falseAgent((command, id) => {
      if (command.startsWith('guest-sync')) return inStep(id);
      if (command === 'guest-fsfreeze-freeze') return '{"return": 2}\n';
      thaws.tries++;
      return thaws.tries >= thaws.works ? '{"return": 2}\n' : '{"error": {"class": "G", "desc": "busy"}}\n';
    });

  test('are thawed even if the operation in between failed', async () => {
    for (const works of [1, 3]) {
      const thaws = { tries: 0, works };
      const { agent, sent } = answers(thaws);
      const failing = whileFrozen(
        agent,
        () => {},
        async () => {
          throw new Error('the disk is full');
        },
      );
      await expect(failing).rejects.toThrow('the disk is full');
      expect(sent.filter(command => command === 'guest-fsfreeze-thaw')).toHaveLength(works);
    }
  });

  test('that cannot be thawed are reported', async () => {
    const warnings: string[] = [];
    const { agent } = answers({ tries: 0, works: 100 });
    expect(
      await whileFrozen(
        agent,
        text => warnings.push(text),
        async () => 7,
      ),
    ).toBe(7);
    expect(warnings).toEqual([expect.stringContaining('may still be frozen')]);
  });
});

test('any byte stream is split into complete lines of JSON, and no more than the limit is buffered', () => {
  const messages: unknown[] = [];
  const garbage: string[] = [];
  const stream = new AgentStream(
    20,
    message => messages.push(message),
    reason => garbage.push(reason),
  );
  const bytes = Buffer.from('{"a":1}\nno\n{"b"\xff{"c":2}\n0123456789012345678901234567890\n[3]\n', 'latin1');
  for (const byte of bytes) stream.receive(Uint8Array.of(byte));
  stream.receive(bytes);
  expect(messages).toEqual([{ a: 1 }, { c: 2 }, [3], { a: 1 }, { c: 2 }, [3]]);
  expect(garbage).toHaveLength(4);
});
