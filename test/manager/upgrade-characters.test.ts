import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CharOptions } from '../../src/devices/backends/char.ts';
import type { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { readRecords } from '../../src/manager/machines/machine-record.ts';
import { managerPaths } from '../../src/manager/paths.ts';
import { CharClient } from '../support/char-client.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { guest, withOwnFolders } from '../support/manager-process.ts';
import { Survival } from '../support/survival.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

withOwnFolders();

/** Bytes in transit at once: less than a back end buffers for a stuck reader, and more than a socket buffers. */
const BURST = 4 * 1024;
const ROUNDS = 2;

/** A guest that returns what its second serial port receives. */
class EchoingGuest {
  readonly engine: RemoteEngine;
  /** All guest output on the port. */
  readonly #log: string;
  #sent = 0;

  constructor(engine: RemoteEngine, log: string) {
    this.engine = engine;
    this.#log = log;
  }

  static async start(engine: RemoteEngine, chardev: CharOptions, bytes: number): Promise<EchoingGuest> {
    const log = join(temporaryFolder(), 'log');
    await engine.start({
      ...guest('echo', `run="echo 0x2f8 ${bytes}"`),
      devices: [{ type: 'isa-serial', chardev: { ...chardev, logfile: log } }],
    });
    return new EchoingGuest(engine, log);
  }

  get pid(): number {
    return this.engine.vms().find(({ name }) => name === 'echo')!.pid!;
  }

  /** What the port is connected to, as screens show it. */
  get connectedTo(): string {
    const { devices } = this.engine.vms().find(({ name }) => name === 'echo')!.topology!;
    const { facts } = devices.find(({ type }) => type === 'isa-serial')!;
    return String(facts.find(({ label }) => label === 'connected to')!.value);
  }

  /** Sends the next bytes. @returns all that were sent so far */
  send(client: CharClient, count: number): Buffer {
    client.send(bytesFrom(this.#sent, count));
    this.#sent += count;
    return bytesFrom(0, this.#sent);
  }

  /** The guest has returned that many bytes, whether or not the client has read them. */
  async returned(count: number): Promise<void> {
    await until(() => statSync(this.#log).size >= count);
  }

  get log(): Buffer {
    return readFileSync(this.#log);
  }
}

/** All bytes sent differ from those sent before. */
function bytesFrom(start: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let at = 0; at < count; at++) bytes[at] = ((start + at) >> (8 * ((start + at) % 3))) & 0xff;
  return bytes;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

async function managed(): Promise<RemoteEngine> {
  const survival = new Survival(21);
  onTestFinished(() => survival[Symbol.asyncDispose]());
  await survival.startManager();
  return survival.engine;
}

function clientOf(to: string | number): CharClient {
  const client = new CharClient(to);
  onTestFinished(() => client.close());
  return client;
}

/** An upgrade that fails, because its new process is killed. @returns whether it did */
async function failedUpgrade(guest: EchoingGuest): Promise<boolean> {
  const { pid } = guest;
  const upgrading = guest.engine.upgrade('echo').catch(() => {});
  const found = await until(() => readRecords(managerPaths().machines, () => {})[0]?.record.successor);
  process.kill(found.pid, 'SIGKILL');
  await upgrading;
  return guest.pid === pid;
}

const BACK_ENDS: Readonly<Record<string, () => Promise<CharOptions>>> = {
  'a Unix socket': async () => ({ type: 'unix', path: join(temporaryFolder(), 'echo.sock'), server: true }),
  'a TCP socket': async () => ({
    ...{ type: 'tcp', host: '127.0.0.1', server: true, anywhere: false },
    port: await freePort(),
  }),
  'a pseudoterminal': async () => ({ type: 'pty' }),
};

describe.skipIf(noKvm !== null)(onKvm('the serial port of an upgraded VM'), () => {
  test.each(Object.entries(BACK_ENDS))(
    'on %s keeps its client, and every byte in both directions',
    { timeout: 120_000 },
    async (_, options) => {
      const engine = await managed();
      const chardev = await options();
      const all = (2 * ROUNDS + 1) * BURST;
      const echo = await EchoingGuest.start(engine, chardev, all);
      const to = {
        unix: () => (chardev as { path: string }).path,
        tcp: () => (chardev as { port: number }).port,
      };
      const client = clientOf(
        chardev.type === 'pty' ? echo.connectedTo : to[chardev.type as 'unix' | 'tcp'](),
      );
      let sent = echo.send(client, BURST);
      await client.read(BURST);
      for (let round = 0; round < ROUNDS; round++) {
        sent = echo.send(client, BURST);
        // Halfway: the guest has output that the client has not read, and input that it has not read itself.
        await echo.returned(sent.length - BURST / 2);
        const { pid } = echo;
        await engine.upgrade('echo');
        expect(echo.pid).not.toBe(pid);
        // In the next process, all of it waits for the reader.
        sent = echo.send(client, BURST);
        await echo.returned(sent.length);
        await engine.upgrade('echo');
        await client.read(sent.length);
        expect(client.received.equals(sent)).toBe(true);
        expect(client.isOver).toBe(false);
      }
      expect(echo.log.equals(sent)).toBe(true);
    },
  );

  test('keeps its client in the old process when the upgrade fails', { timeout: 60_000 }, async () => {
    const engine = await managed();
    const path = join(temporaryFolder(), 'echo.sock');
    const echo = await EchoingGuest.start(engine, { type: 'unix', path, server: true }, 2 ** 20);
    const client = clientOf(path);
    let kept = 0;
    for (let round = 0; round < 4; round++) {
      const sent = echo.send(client, BURST);
      await echo.returned(sent.length - BURST / 2);
      if (!(await failedUpgrade(echo))) break;
      kept++;
      await client.read(sent.length);
      expect(client.received.equals(sent)).toBe(true);
    }
    expect(kept).toBeGreaterThan(0);
    expect(client.isOver).toBe(false);
  });

  test('that is saved sends its next client what the previous one has not read', {
    timeout: 60_000,
  }, async () => {
    const engine = await managed();
    const path = join(temporaryFolder(), 'echo.sock');
    const echo = await EchoingGuest.start(engine, { type: 'unix', path, server: true }, 2 ** 20);
    const first = clientOf(path);
    const sent = echo.send(first, BURST);
    await echo.returned(sent.length);
    await engine.save('echo');
    await first.end();
    expect(first.received.length).toBeLessThan(BURST);
    await engine.restart('echo');
    const second = clientOf(path);
    const more = echo.send(second, BURST);
    await second.read(more.length - first.received.length);
    expect(Buffer.concat([first.received, second.received]).equals(more)).toBe(true);
  });
});
