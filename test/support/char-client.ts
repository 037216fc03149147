import { closeSync, openSync } from 'node:fs';
import * as libc from '../../src/vmm/native/libc.ts';
import { unixAddress } from '../../src/vmm/native/unix-socket.ts';
import { until } from './until.ts';

/** A client of a character device, which reads nothing until requested. */
export class CharClient {
  readonly #fd: number;
  readonly #received: Buffer[] = [];
  #length = 0;
  #isOver = false;
  #unsent = Buffer.alloc(0);

  /** @param to the path of a socket or of a pseudoterminal, or a TCP port of this host */
  constructor(to: string | number) {
    this.#fd =
      typeof to === 'string' && to.startsWith('/dev/pts/') ? openSync(to, libc.O_RDWR) : connected(to);
    libc.setNonblocking(this.#fd);
  }

  /** Whether it has found that the other end is gone. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** Sends as much as fits; the rest is sent while it reads. */
  send(bytes: Uint8Array): void {
    this.#unsent = Buffer.concat([this.#unsent, bytes]);
    this.#flush();
  }

  /** Reads until it has received so many bytes in all. */
  async read(length: number): Promise<void> {
    await until(() => {
      this.#flush();
      this.#take(length);
      return this.#length >= length;
    });
  }

  /** Reads until the other end is gone. */
  async end(): Promise<void> {
    await until(() => {
      this.#take(Number.POSITIVE_INFINITY);
      return this.#isOver;
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    if (this.#unsent.length === 0) return;
    const sent = libc.tryWrite(this.#fd, this.#unsent);
    if (sent > 0) this.#unsent = this.#unsent.subarray(sent);
  }

  #take(length: number): void {
    const bytes = Buffer.alloc(64 * 1024);
    while (this.#length < length && !this.#isOver) {
      const count = libc.tryRead(this.#fd, bytes);
      if (count === 0) this.#isOver = true;
      if (count <= 0) return;
      this.#received.push(Buffer.from(bytes.subarray(0, count)));
      this.#length += count;
    }
  }
}

function connected(to: string | number): number {
  const fd = libc.socket(typeof to === 'string' ? libc.AF_UNIX : AF_INET, libc.SOCK_STREAM);
  if (typeof to === 'string') libc.connect(fd, to, unixAddress(to));
  else libc.connect(fd, `port ${to}`, tcpAddress(to));
  return fd;
}

const AF_INET = 2;

/** struct sockaddr_in of 127.0.0.1. */
function tcpAddress(port: number): Uint8Array {
  return Uint8Array.of(AF_INET, 0, port >> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
}
