import * as libc from '../../src/vmm/native/libc.ts';
import { unixAddress } from '../../src/vmm/native/unix-socket.ts';

/** A Unix socket whose queue of connections is full, and that accepts none until `accept` is called. */
export class BusyListener {
  readonly #listener = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
  readonly #clients: number[] = [];

  constructor(path: string) {
    libc.bind(this.#listener, path, unixAddress(path));
    libc.listen(this.#listener, 0);
    libc.setNonblocking(this.#listener);
    for (let isFull = false; !isFull; ) {
      const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
      this.#clients.push(fd);
      libc.setNonblocking(fd);
      try {
        libc.connect(fd, path, unixAddress(path));
      } catch (error) {
        if (!(error instanceof libc.SystemError) || error.code !== 'EAGAIN') throw error;
        isFull = true;
      }
    }
  }

  /** Makes room for one connection. */
  accept(): void {
    this.#clients.push(libc.accept(this.#listener)!);
  }

  close(): void {
    for (const fd of [this.#listener, ...this.#clients.splice(0)]) libc.close(fd);
  }
}
