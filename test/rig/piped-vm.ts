import type { EmulatedHost } from './emulated-host.ts';

/** Control sequences that position characters on a terminal. */
const CONTROL = /\u001b(\[[0-9;?=]*[A-Za-z]|c)/g;

/**
 * A VM of the emulated host run by `vring run`, without a manager: its COM1 is a pipe. Waits search all of the output
 * so far, since firmware positions characters as it likes.
 */
export class PipedVm {
  readonly #host: EmulatedHost;
  /** In the emulated host: `in` is a FIFO to the serial port, `out` has all output of the port. */
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

  /** Waits until the text has appeared this many times. @returns all of the output */
  async waitFor(text: string, seconds: number, times = 1): Promise<string> {
    await this.#wait(`[ "$(grep -aoF '${text}' out | wc -l)" -ge ${times} ]`, `"${text}"`, seconds);
    return this.printed();
  }

  /** Types into COM1. @param text in printf format */
  async type(text: string): Promise<void> {
    await this.#host.check(`printf '${text}' >${this.#directory}/in`);
  }

  /** Waits until the VM has ended. @returns the exit status of `vring run` */
  async ended(seconds: number): Promise<number> {
    await this.#wait('[ -e ended ]', 'its end', seconds);
    return Number(await this.#host.check(`cat ${this.#directory}/ended`));
  }

  /** Kills it if it is still running. */
  async kill(): Promise<void> {
    await this.#host.check(
      `cd ${this.#directory}; until [ -e ended ]; do kill -9 $(cat pid) 2>/dev/null; sleep 0.2; done`,
    );
  }

  /** All output of COM1, without control sequences. */
  async printed(): Promise<string> {
    return (await this.#host.check(`cat ${this.#directory}/out`)).replaceAll(CONTROL, '');
  }

  async #wait(condition: string, what: string, seconds: number): Promise<void> {
    const { status } = await this.#host.run(
      `cd ${this.#directory}; until ${condition}; do [ -e ended ] && exit 1; sleep 0.5; done`,
      { seconds },
    );
    if (status === 0) return;
    const why = status === 1 ? 'the VM has ended' : `nothing within ${seconds} s`;
    throw new Error(`waiting for ${what}: ${why}:\n${(await this.printed()).slice(-3000)}`);
  }
}
