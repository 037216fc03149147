import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import readline from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { networkNamed } from '../../src/host/networks/definition.ts';
import { applyPlan } from '../../src/host/plan/apply.ts';
import { planNetworkCreate, planNetworkDelete } from '../../src/host/plan/networks/create.ts';
import { systemWriter } from '../../src/host/plan/process-writer.ts';
import { HostRoot } from '../../src/host/root.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { enterOwnHost } from '../support/own-host.ts';
import { ip } from '../support/own-network.ts';
import { Survival } from '../support/survival.ts';
import { CHUNK, checksum, makeLinux, sentByGuest, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

withOwnFolders();

const CHUNKS = 16;
const FROM_SERVER = Buffer.alloc(CHUNKS * CHUNK, 'from the world to the guest ');

/**
 * A server of the world: sends its bytes in three parts, the second and third on a line of its input each; after another line it takes what
 * comes until the guest closes its side, prints who sent what, and closes the other.
 */
const SERVER = `
  import { createServer } from 'node:net';
  import readline from 'node:readline';
  const bytes = Buffer.alloc(${CHUNKS * CHUNK}, 'from the world to the guest ');
  const third = Math.ceil(bytes.length / 3);
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  createServer({ allowHalfOpen: true }, async socket => {
    console.log('"connected"');
    for (let at = 0; at < bytes.length; at += third) {
      socket.write(bytes.subarray(at, at + third));
      await lines.next();
    }
    const parts = [];
    socket.on('data', part => parts.push(part));
    socket.on('end', () => {
      console.log(JSON.stringify({ peer: socket.remoteAddress, content: Buffer.concat(parts).toString('base64') }));
      socket.end();
    });
  }).listen(9000, '0.0.0.0', () => console.log('"ready"'));
`;

class WorldServer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(prefix: readonly string[]) {
    const [command, ...args] = [...prefix, process.execPath, '--input-type=module', '--eval', SERVER];
    this.#child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = readline.createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async next(): Promise<unknown> {
    return JSON.parse((await this.#lines.next()).value);
  }

  goOn(): void {
    this.#child.stdin!.write('\n');
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

describe.skipIf(missing !== null)('Linux with DHCP', () => {
  const root = new HostRoot('/');
  let directory: string;
  let kernel: string;
  let initrd: string;
  const manager = new Survival(1);
  let server: WorldServer | null = null;

  beforeAll(async () => {
    enterOwnHost();
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    ({ kernel, initrd } = await makeLinux(directory, 'dhcp.c'));
    await manager.startManager();
  }, 60_000);
  afterEach(() => server?.end());
  afterAll(async () => {
    await manager[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  async function boot(network: { readonly type: string }): Promise<GuestVm> {
    return await GuestVm.start(manager.engine, {
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet rodata=off' },
      devices: [{ type: 'virtio-net', mac: '52:54:00:12:34:56', network }],
    });
  }

  /** Both transfers continue while the VM moves to another process. */
  async function transfers(guest: GuestVm, from: string): Promise<void> {
    const { pid } = guest.info;
    expect(await server!.next()).toBe('connected');
    const receiving = manager.engine.upgrade(guest.id);
    server!.goOn();
    await receiving;
    server!.goOn();
    await guest.printed(/guest: received/);
    const sending = manager.engine.upgrade(guest.id);
    server!.goOn();
    await sending;
    expect(guest.info.pid).not.toBe(pid);
    const { peer, content } = (await server!.next()) as { peer: string; content: string };
    expect(peer).toBe(from);
    expect(Buffer.from(content, 'base64').equals(sentByGuest(CHUNKS))).toBe(true);
    await guest.printed(/guest: sent/);
    expect(guest.output).toContain(`guest: received ${checksum(FROM_SERVER)}`);
    expect((await guest.reached('off')).broken).toEqual({});
  }

  test('transfers by TCP in both directions while it moves to other processes, through a user-mode network', async () => {
    ip('address', 'add', '203.0.113.9/32', 'dev', 'lo');
    onTestFinished(() => {
      ip('address', 'del', '203.0.113.9/32', 'dev', 'lo');
    });
    server = new WorldServer([]);
    expect(await server.next()).toBe('ready');
    const guest = await boot({ type: 'user' });
    await guest.printed(/guest: address 0a00020f/);
    await transfers(guest, '203.0.113.9');
  }, 240_000);

  test('transfers by TCP in both directions while it moves to other processes, through a NAT network, which came up with it', async () => {
    const world = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up; echo ready; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise(resolve => world.stdout.once('data', resolve));
    const there = ['nsenter', '--target', String(world.pid), '--net'];
    ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'in0', 'netns', String(world.pid));
    ip('address', 'add', '203.0.113.1/24', 'dev', 'out0');
    ip('link', 'set', 'out0', 'up');
    for (const words of ['address add 203.0.113.9/24 dev in0', 'link set in0 up'])
      spawn(there[0]!, [...there.slice(1), 'ip', ...words.split(' ')]);
    server = new WorldServer(there);
    expect(await server.next()).toBe('ready');
    const writer = systemWriter(root);
    const { state } = await applyPlan(writer, await planNetworkCreate(root, { name: 'default', down: true }));
    expect(state).toBe('applied');

    const guest = await boot({ type: 'network', name: 'default' } as never);
    await guest.printed(/guest: address c0a896/);
    await expect.poll(() => guest.info.nics?.[0]?.addresses, { timeout: 10_000 }).toHaveLength(1);
    await transfers(guest, '203.0.113.1');

    await applyPlan(writer, await planNetworkDelete(root, networkNamed(root, 'default')));
    writer.close();
    world.kill();
  }, 240_000);

  test('transfers by TCP in both directions while it moves to other processes, through passt', async () => {
    // The guest has the address of this interface, and its gateway is this host.
    ip('link', 'add', 'out1', 'type', 'veth', 'peer', 'name', 'in1');
    ip('address', 'add', '10.9.0.2/24', 'dev', 'out1');
    for (const name of ['out1', 'in1']) ip('link', 'set', name, 'up');
    ip('route', 'add', 'default', 'via', '10.9.0.1');
    server = new WorldServer([]);
    expect(await server.next()).toBe('ready');
    // Its own DHCP client takes answers by broadcast only, which passt does not send.
    ({ initrd } = await makeLinux(directory, 'net.c'));
    await transfers(await boot({ type: 'passt' }), '127.0.0.1');
    ip('link', 'del', 'out1');
  }, 240_000);
});
