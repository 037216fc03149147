import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { MigrateOptions } from '../../src/engine/migration/migration-info.ts';
import { shellText } from '../../src/text/shell.ts';
import { HEADER_BYTES, KIND } from '../../src/vmm/migration/stream.ts';
import type { MigrationHost } from './migration-hosts.ts';

/** Joins its standard input and output with a Unix socket, like `socat - UNIX:PATH`. */
const JOIN = `const socket = require('node:net').connect(process.argv[1]);
process.stdin.pipe(socket).pipe(process.stdout);
for (const stream of [socket, process.stdin, process.stdout]) stream.on('error', () => {});
socket.on('close', () => process.exit());`;

/** A frame on its way: `offer`, `pages`, `zeros`, `state`, `load`, `go`, or `ready`, `accepted`, `loaded` ... */
export type Passing = { readonly kind: string; readonly frame: Buffer };

/**
 * A connection between two hosts that passes frame by frame through the test, which may look at each, hold it, change
 * it, or break the connection.
 */
export class MigrationRelay {
  readonly options: MigrateOptions;
  readonly #server: Server;
  readonly #closers = new Set<() => void>();
  #receiver: ChildProcess | null = null;

  private constructor(server: Server, path: string, host: MigrationHost) {
    this.#server = server;
    const command = `exec ${shellText([process.execPath, '-e', JOIN, path])}`;
    this.options = { destination: host.name, command };
  }

  /** @param pass called with each frame; resolves with what is passed on in its place, null for nothing */
  static async between(
    folder: string,
    host: MigrationHost,
    pass: (passing: Passing, relay: MigrationRelay) => Promise<Uint8Array | null> | Uint8Array | null,
  ): Promise<MigrationRelay> {
    const path = join(folder, `relay-${host.name}.sock`);
    const server = createServer();
    await new Promise<void>(resolve => server.listen(path, resolve));
    const relay = new MigrationRelay(server, path, host);
    server.on('connection', socket => {
      const [program, ...args] = host.receiver;
      const receiver = spawn(program!, args, { stdio: ['pipe', 'pipe', 'ignore'] });
      relay.#receiver = receiver;
      const close = () => {
        socket.destroy();
        receiver.stdin.destroy();
        relay.#closers.delete(close);
      };
      relay.#closers.add(close);
      for (const stream of [socket, receiver.stdin, receiver.stdout]) stream.on('error', () => {});
      const hook = (passing: Passing) => pass(passing, relay);
      void forward(socket, receiver.stdin, hook)
        .catch(() => {})
        .finally(() => receiver.stdin.end());
      void forward(receiver.stdout, socket, hook)
        .catch(() => {})
        .finally(() => socket.end());
    });
    return relay;
  }

  /** The process that receives; there is one from the first frame on. */
  get receiverPid(): number {
    return this.#receiver!.pid!;
  }

  /** Closes the connection between the two hosts. */
  cut(): void {
    for (const close of [...this.#closers]) close();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

async function forward(
  from: Readable,
  to: Writable,
  pass: (passing: Passing) => Promise<Uint8Array | null> | Uint8Array | null,
): Promise<void> {
  let waiting = Buffer.alloc(0);
  for await (const chunk of from) {
    waiting = Buffer.concat([waiting, chunk as Buffer]);
    while (waiting.length >= HEADER_BYTES) {
      const kind = waiting[3]!;
      const length = HEADER_BYTES + (kind === KIND.zeros ? 0 : waiting.readUInt32LE(4));
      if (waiting.length < length) break;
      const frame = waiting.subarray(0, length);
      waiting = waiting.subarray(length);
      const passed = await pass({ kind: kindOf(kind, frame), frame });
      if (passed !== null && !to.write(passed)) await new Promise(resolve => to.once('drain', resolve));
    }
  }
}

function kindOf(kind: number, frame: Buffer): string {
  if (kind !== KIND.message) return Object.entries(KIND).find(([, value]) => value === kind)![0];
  return (JSON.parse(frame.subarray(HEADER_BYTES).toString()) as { kind: string }).kind;
}
