import { randomBytes } from 'node:crypto';
import type { ScriptResult } from './control-channel.ts';
import type { EmulatedHost } from './emulated-host.ts';

const APPEND = 'console=ttyS0 loglevel=1 panic=-1 nokaslr mitigations=off random.trust_cpu=on';

/**
 * QEMU's options for a guest with the agent, quiet since its console is the agent's. Debian's kernel starts fastest by PVH, which saves its
 * decompression.
 */
export const AGENT_GUEST = `-m 256 -kernel /boot/vmlinux -initrd /boot/agent-initrd -append '${APPEND}'`;

/** The same in a definition, with drivers and programs for all devices of a usual guest: of an emulated host with `guestDevices`. */
export const devicesGuest = `memory: 320M
machine: {kernel: /boot/vmlinux, initrd: /boot/devices-initrd, append: ${APPEND}}`;

/** How long a guest may take to boot, in seconds. */
const BOOT_SECONDS = 400;

/**
 * A guest of the emulated host that runs shell scripts of a test over its serial port, one at a time (see `image/agent-init.sh`).
 * A request is a line `token script`; its output comes between the lines `token begin` and `token status`.
 */
export class SerialGuest {
  readonly #host: EmulatedHost;
  /** In the emulated host: `in` is a FIFO to the serial port, `out` has all that came from it. */
  readonly #directory: string;

  private constructor(host: EmulatedHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /**
   * Starts a program of the emulated host whose standard input and output are the serial port of a guest, and leaves it running:
   * `vring vm console web`, or a VMM.
   */
  static async connect(host: EmulatedHost, command: string): Promise<SerialGuest> {
    const directory = (await host.check('mktemp -d /tmp/serial-XXXXXX')).trim();
    // Open for reading and writing, a FIFO never ends.
    await host.check(
      `cd ${directory} && mkfifo in && (${command} <>in >out 2>errors; echo $? >ended) >/dev/null 2>&1 &`,
    );
    return new SerialGuest(host, directory);
  }

  /** Waits until the guest has booted for the `count`th time since it was connected. @returns its boot ID */
  async booted(count = 1): Promise<string> {
    await this.#waitFor(
      `[ "$(grep -c '^agent ' out)" -ge ${count} ]`,
      `boot ${count} of the guest`,
      BOOT_SECONDS,
    );
    return this.#host.check(`sed -n 's/^agent //p' ${this.#directory}/out | sed -n ${count}p`);
  }

  /** Runs a shell script of one line as root. */
  async run(
    script: string,
    { seconds = 300 }: { seconds?: number } = {},
  ): Promise<Omit<ScriptResult, 'stderr'>> {
    const request = await this.send(script);
    return await request(seconds);
  }

  /** Sends a script. @returns waits for its result, so that something else may happen in the host meanwhile */
  async send(script: string): Promise<(seconds: number) => Promise<Omit<ScriptResult, 'stderr'>>> {
    const line = script.trim().replaceAll(/\s*\n\s*/g, ' ');
    const token = randomBytes(6).toString('hex');
    await this.#host.check(`cat >>${this.#directory}/in <<'end'\n${token} ${line}\nend`);
    return async seconds => {
      await this.#waitFor(`grep -q '^${token} [0-9]' out`, `the end of: ${line}`, seconds);
      const text = await this.#host.check(
        `sed -n '/^${token} begin/,/^${token} [0-9]/p' ${this.#directory}/out`,
      );
      const match = /^\S+ begin\n([\s\S]*)\n\S+ (\d+)\s*$/.exec(text);
      if (match === null) throw new Error(`the guest answered: ${text}`);
      return { status: Number(match[2]), stdout: match[1]! };
    };
  }

  /** Like `run`, for scripts that must succeed. @returns what it printed */
  async check(script: string, options: { seconds?: number } = {}): Promise<string> {
    const { status, stdout } = await this.run(script, options);
    if (status !== 0) throw new Error(`exit status ${status} in the guest of: ${script}\n${stdout}`);
    return stdout;
  }

  /** All that came from the serial port, and the program's messages. */
  async log(): Promise<string> {
    return this.#host.check(`cd ${this.#directory}; cat out errors`);
  }

  async #waitFor(condition: string, what: string, seconds: number): Promise<void> {
    const { status } = await this.#host.run(
      `cd ${this.#directory}; until ${condition}; do [ -e ended ] && exit 1; sleep 0.2; done`,
      { seconds },
    );
    if (status === 0) return;
    const why = status === 1 ? 'its connection ended' : `nothing within ${seconds} s`;
    throw new Error(`waiting for ${what}: ${why}:\n${await this.log()}`);
  }
}
