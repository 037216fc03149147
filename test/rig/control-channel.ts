import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a script in the emulated host printed, and its exit status: 137 if it took too long and was killed. */
export type ScriptResult = { readonly status: number; readonly stdout: string; readonly stderr: string };

/**
 * How long the emulated host may take to kill a script and respond, in milliseconds. On a busy machine it stands still for
 * long, by its own clock as well.
 */
const GRACE_MS = 180_000;

/**
 * Runs shell scripts in the emulated host over two virtio-serial ports, one at a time. A request is a line `token
 * seconds bytes` followed by the script. Both ports stream its output, and each ends with an extra line break and a
 * line `token status`.
 */
export class ControlChannel {
  readonly #output: Socket;
  readonly #errors: Socket;

  private constructor(output: Socket, errors: Socket) {
    this.#output = output;
    this.#errors = errors;
  }

  /** Connects to QEMU's ends of the ports, which it opens soon after starting. */
  static async connect(outputPath: string, errorsPath: string): Promise<ControlChannel> {
    return new ControlChannel(await connectSocket(outputPath), await connectSocket(errorsPath));
  }

  async run(script: string, seconds: number): Promise<ScriptResult> {
    const token = randomBytes(8).toString('hex');
    const signal = AbortSignal.timeout(seconds * 1000 + GRACE_MS);
    const stdout = readUntil(this.#output, token, signal);
    const stderr = readUntil(this.#errors, token, signal);
    const body = Buffer.from(script);
    this.#output.write(`${token} ${seconds} ${body.length}\n`);
    this.#output.write(body);
    const [out, errors] = await Promise.all([stdout, stderr]);
    return { status: out.status, stdout: out.text, stderr: errors.text };
  }

  close(): void {
    this.#output.destroy();
    this.#errors.destroy();
  }
}

/** Reads a port up to the line that ends a script's output. */
function readUntil(
  socket: Socket,
  token: string,
  signal: AbortSignal,
): Promise<{ text: string; status: number }> {
  const end = new RegExp(`\\n${token} (\\d+)\\n$`);
  const { promise, resolve, reject } = Promise.withResolvers<{ text: string; status: number }>();
  let text = '';
  const decoder = new TextDecoder();
  const onData = (chunk: Buffer) => {
    text += decoder.decode(chunk, { stream: true });
    const found = end.exec(text.slice(-64));
    if (found === null) return;
    finish();
    resolve({ text: text.slice(0, -found[0].length), status: Number(found[1]) });
  };
  const onClose = () => fail('the emulated host is gone');
  const onAbort = () => fail('the emulated host does not respond');
  const fail = (reason: string) => {
    finish();
    reject(new Error(`${reason}; the script had printed:\n${text}`));
  };
  const finish = () => {
    socket.off('data', onData).off('close', onClose);
    signal.removeEventListener('abort', onAbort);
  };
  socket.on('data', onData).on('close', onClose);
  signal.addEventListener('abort', onAbort);
  return promise;
}

async function connectSocket(path: string): Promise<Socket> {
  const attempts = 100;
  for (let attempt = 1; ; attempt++) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      // Readers see a broken connection as 'close'.
      socket.on('error', () => {});
      return socket;
    } catch (error) {
      if (attempt === attempts) throw error;
      await sleep(100);
    }
  }
}
