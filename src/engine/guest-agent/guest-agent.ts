import * as z from 'zod';
import { AgentStream } from './agent-stream.ts';

/** Answers other than program output are short. */
const USUAL_BYTES = 2 ** 20;
const USUAL_MS = 5000;
/** A guest answers a sync as soon as its agent runs. */
const SYNC_MS = 5000;

/** What is wrong with a guest agent, or with a request to it; a sentence. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
}

/** It did not answer in time: it does not run, or is busy with something else. */
export class AgentSilence extends AgentError {}

/** It answered with an error: the stream is in sync, and the command was refused. */
export class AgentRefusal extends AgentError {}

/** The channel to the agent. */
export type AgentTransport = {
  send(bytes: Uint8Array): void;
  /** Resolves when the guest has read enough to accept more. */
  room(): Promise<void>;
};

export type AgentRequest<Schema extends z.ZodType> = {
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** The schema of the answer's `return`. */
  readonly returns: Schema;
  /** Default: 5 s. */
  readonly timeoutMs?: number;
  /** Of the answer, in bytes; default: 1 MiB. */
  readonly maxBytes?: number;
};

const answer = z.union([
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ class: z.string().max(200), desc: z.string().max(4096) }) }),
]);

/**
 * The QEMU guest agent of one VM (qga/qapi-schema.json): commands as lines of JSON, one at a time. At first and after a
 * timeout, guest-sync-delimited skips whatever is in transit. Answers come from the guest: they are bounded and
 * checked.
 */
export class GuestAgent {
  readonly #transport: AgentTransport;
  readonly #stream: AgentStream;
  #queue: Promise<unknown> = Promise.resolve();
  #isSynced = false;
  #lastSync = Math.floor(Math.random() * 2 ** 31);
  /** The request that waits for the next message. */
  #waiting: {
    readonly take: (message: unknown) => void;
    readonly garbage: (error: Error) => void;
    readonly fail: (error: Error) => void;
  } | null = null;
  #closed: string | null = null;

  constructor(transport: AgentTransport) {
    this.#transport = transport;
    this.#stream = new AgentStream(
      USUAL_BYTES,
      message => this.#waiting?.take(message),
      reason => this.#waiting?.garbage(new AgentError(`the guest agent ${reason}`)),
    );
  }

  /** Bytes from the guest on the agent's port. */
  received(bytes: Uint8Array): void {
    this.#stream.receive(bytes);
  }

  /** The VM is off, or was replaced: pending and later requests fail. */
  close(reason: string): void {
    this.#closed = reason;
    this.#waiting?.fail(new AgentError(reason));
  }

  /** Runs a command, after those queued before it. @throws AgentError */
  request<Schema extends z.ZodType>(
    command: string,
    request: AgentRequest<Schema>,
  ): Promise<z.output<Schema>> {
    const result = this.#queue.then(() => this.#carryOut(command, request));
    this.#queue = result.catch(() => {});
    return result;
  }

  /**
   * Sends a command that the agent does not answer on success: guest-shutdown. @returns once no error has come for
   * `patienceMs`. @throws AgentError
   */
  async send(command: string, args: Readonly<Record<string, unknown>>, patienceMs = 1000): Promise<void> {
    try {
      await this.request(command, { arguments: args, returns: z.unknown(), timeoutMs: patienceMs });
    } catch (error) {
      if (!(error instanceof AgentSilence) || !this.#wasSent) throw error;
    }
  }

  /** The last command was sent, whether or not it was answered. */
  #wasSent = false;

  async #carryOut<Schema extends z.ZodType>(
    command: string,
    { arguments: args = {}, returns, timeoutMs = USUAL_MS, maxBytes = USUAL_BYTES }: AgentRequest<Schema>,
  ): Promise<z.output<Schema>> {
    this.#wasSent = false;
    if (!this.#isSynced) await this.#sync();
    this.#stream.limit = maxBytes;
    try {
      await this.#send({ execute: command, ...(Object.keys(args).length > 0 && { arguments: args }) });
      this.#wasSent = true;
      const message = answer.safeParse(await this.#next(timeoutMs));
      if (!message.success) throw new AgentError(`the guest agent's answer to ${command} is malformed`);
      if ('error' in message.data) {
        const { desc } = message.data.error;
        throw new AgentRefusal(`the guest agent refuses ${command}: ${desc}`);
      }
      const result = returns.safeParse(message.data.return);
      if (!result.success) throw new AgentError(`the guest agent's answer to ${command} is not valid`);
      return result.data;
    } catch (error) {
      if (!(error instanceof AgentRefusal)) this.#isSynced = false;
      throw error;
    } finally {
      this.#stream.limit = USUAL_BYTES;
    }
  }

  async #sync(): Promise<void> {
    const id = (this.#lastSync + 1) % 2 ** 31;
    this.#lastSync = id;
    // Terminates an unfinished command in the agent's parser.
    await this.#write(Uint8Array.of(0xff));
    await this.#send({ execute: 'guest-sync-delimited', arguments: { id } });
    await this.#next(SYNC_MS, message => (message as { return?: unknown } | null)?.return === id);
    this.#isSynced = true;
  }

  async #send(message: object): Promise<void> {
    await this.#write(Buffer.from(`${JSON.stringify(message)}\n`));
  }

  /** Writes in chunks, as the guest reads: it may be slow, and a program's input long. */
  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE) {
      if (this.#closed !== null) throw new AgentError(this.#closed);
      this.#transport.send(bytes.subarray(at, at + PIECE));
      await within(this.#transport.room(), USUAL_MS);
    }
  }

  /** The next message; with `isIt`, the next one that matches, skipping those before it. */
  #next(timeoutMs: number, isIt?: (message: unknown) => boolean): Promise<unknown> {
    if (this.#closed !== null) return Promise.reject(new AgentError(this.#closed));
    return new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        clearTimeout(timer);
        this.#waiting = null;
        finish();
      };
      const timer = setTimeout(() => end(() => reject(new AgentSilence(SILENT))), timeoutMs);
      this.#waiting = {
        take: message => {
          if (isIt?.(message) ?? true) end(() => resolve(message));
        },
        garbage: error => {
          if (isIt === undefined) end(() => reject(error));
        },
        fail: error => end(() => reject(error)),
      };
    });
  }
}

const PIECE = 16 * 1024;
const SILENT = 'the guest agent does not answer: install qemu-guest-agent in the guest, and start it';

/** @throws AgentSilence on timeout */
async function within(action: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AgentSilence(SILENT)), ms);
  });
  try {
    await Promise.race([action, late]);
  } finally {
    clearTimeout(timer);
  }
}
