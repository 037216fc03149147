import type { EmulatedHost } from './emulated-host.ts';

/** Control sequences that place characters on a terminal. */
const CONTROL = /\u001b(\[[0-9;?=]*[A-Za-z]|c)/g;

/**
 * A VM of the emulated host by `vring run`, without a manager: its COM1 is a pipe. What is awaited there is looked for in all of the output so far,
 * since firmware places characters as it likes.
 */
export class PipedVm {
  readonly #host: EmulatedHost;
  /** In the emulated host: `in` is a FIFO to the serial port, `out` has all that came from it. */
  readonly #directory: string;

  private constructor(host: EmulatedHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** @param options of `vring run` */
  static async start(host: EmulatedHost, options: string): Promise<PipedVm> {
    const directory = (await host.check('mktemp -d /tmp/vm-XXXXXX')).trim();
    await host.check(
      `cd ${directory} && mkfifo in &&
       (sh -c 'echo $$ >pid; exec vring run ${options.replaceAll("'", `'"'"'`)}' <>in >out 2>&1; echo $? >ended) >/dev/null 2>&1 &`,
    );
    return new PipedVm(host, directory);
  }

  /** Waits until COM1 has said this. */
  async waitFor(text: string, seconds: number): Promise<void> {
    const { status } = await this.#host.run(
      `cd ${this.#directory}; until grep -aqF '${text}' out; do [ -e ended ] && exit 1; sleep 0.5; done`,
      { seconds },
    );
    if (status === 0) return;
    const why = status === 1 ? 'the VM has ended' : `nothing within ${seconds} s`;
    const printed = await this.#host.check(`tail -c 6000 ${this.#directory}/out`);
    throw new Error(`waiting for "${text}": ${why}:\n${printed.replaceAll(CONTROL, '')}`);
  }

  /** Ends it, if it has not ended. */
  async kill(): Promise<void> {
    await this.#host.check(
      `cd ${this.#directory}; until [ -e ended ]; do kill -9 $(cat pid) 2>/dev/null; sleep 0.2; done`,
    );
  }
}
