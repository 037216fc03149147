import { randomBytes } from 'node:crypto';
import type { ScriptResult } from './control-channel.ts';
import type { EmulatedHost } from './emulated-host.ts';

const APPEND = 'console=ttyS0 loglevel=1 panic=-1 nokaslr mitigations=off random.trust_cpu=on';

/**
 * QEMU's options for a guest with the agent, with a quiet kernel since the agent uses its console. Debian's kernel
 * starts fastest through PVH, which skips its decompression.
 */
export const AGENT_GUEST = `-m 256 -kernel /boot/vmlinux -initrd /boot/agent-initrd -append '${APPEND}'`;

/** QEMU's options for a guest without Linux that only runs, and serves no requests. */
export const SPINNING_GUEST = `-m 64 -kernel /opt/vring/dist/guest.elf -append 'run="spin 600s"'`;

/**
 * A definition of the guest with the agent, with drivers and programs for all common devices: for an emulated host with
 * `guestDevices`.
 */
export const devicesGuest = `memory: 320M
machine: {kernel: /boot/vmlinux, initrd: /boot/devices-initrd, append: ${APPEND}}`;

/** How long a guest may take to boot, in seconds. */
const BOOT_SECONDS = 400;
/** How long a guest may take to kill a script and report it, in seconds. */
const GRACE_SECONDS = 30;

/**
 * A guest of the emulated host that runs a test's shell scripts over its serial port, one at a time (see
 * `image/agent-init.sh`). A request is a line `token seconds script`; its output comes between the lines `token begin`
 * and `token status`. A guest that does not answer gets no more requests until it has booted again.
 */
export class SerialGuest {
  readonly #host: EmulatedHost;
  /** In the emulated host: `in` is a FIFO to the serial port, `out` has all output of the port. */
  readonly #directory: string;
  /** The request that it did not complete in time. */
  #overdue: string | null = null;

  private constructor(host: EmulatedHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /**
   * Starts a program of the emulated host whose standard input and output are a guest's serial port, and leaves it
   * running: `vring vm console web`, or a VMM.
   */
  static async connect(host: EmulatedHost, command: string): Promise<SerialGuest> {
    const directory = (await host.check('mktemp -d /tmp/serial-XXXXXX')).trim();
    // A FIFO that is open for reading and writing never ends.
    await host.check(
      `cd ${directory} && mkfifo in && (${command} <>in >out 2>errors; echo $? >ended) >/dev/null 2>&1 &`,
    );
    return new SerialGuest(host, directory);
  }

  /** Waits until the guest has booted for the `count`th time since it was connected. @returns its boot ID */
  async booted(count = 1): Promise<string> {
    const id = await this.#script(
      `${until(`[ "$(grep -c '^agent ' out)" -ge ${count} ]`)}
       sed -n 's/^agent //p' out | sed -n ${count}p`,
      `boot ${count} of the guest`,
      BOOT_SECONDS,
    );
    this.#overdue = null;
    return id;
  }

  /**
   * Runs a shell script as root, with spaces for line breaks. A script that takes longer is killed with everything it
   * has started: its status is 137.
   */
  async run(
    script: string,
    { seconds = 300 }: { seconds?: number } = {},
  ): Promise<Omit<ScriptResult, 'stderr'>> {
    const request = requestOf(script, seconds);
    this.#checkThatItAnswers();
    return await this.#answered(request, `${request.send}\n`);
  }

  /**
   * Sends a script. @returns a function that waits for its result, so that something else may
   * happen in the host in the meantime
   */
  async send(
    script: string,
    { seconds = 300 }: { seconds?: number } = {},
  ): Promise<() => Promise<Omit<ScriptResult, 'stderr'>>> {
    const request = requestOf(script, seconds);
    this.#checkThatItAnswers();
    await this.#script(request.send, `a script: ${request.line}`, GRACE_SECONDS);
    return () => this.#answered(request);
  }

  /** Like `run`, for scripts that must succeed. @returns what it printed */
  async check(script: string, options: { seconds?: number } = {}): Promise<string> {
    const { status, stdout } = await this.run(script, options);
    if (status !== 0) throw new Error(`exit status ${status} in the guest of: ${script}\n${stdout}`);
    return stdout;
  }

  /** All output of the serial port, and the program's messages. */
  async log(): Promise<string> {
    return this.#host.check(`cd ${this.#directory}; cat out errors`);
  }

  #checkThatItAnswers(): void {
    if (this.#overdue !== null)
      throw new Error(`the guest is not asked again: it has not come to ${this.#overdue}`);
  }

  async #answered({ token, line, seconds }: Request, first = ''): Promise<Omit<ScriptResult, 'stderr'>> {
    const text = await this.#script(
      `${first}${until(`grep -q '^${token} [0-9]' out`)}
       sed -n '/^${token} begin/,/^${token} [0-9]/p' out`,
      `the end of: ${line}`,
      seconds + GRACE_SECONDS,
    );
    const match = /^\S+ begin\n([\s\S]*)\n\S+ (\d+)\s*$/.exec(text);
    if (match === null) throw new Error(`the guest answered: ${text}`);
    return { status: Number(match[2]), stdout: match[1]! };
  }

  /** Runs a host script in the folder, which takes the emulated CPU a while. @returns what it printed */
  async #script(script: string, what: string, seconds: number): Promise<string> {
    const { status, stdout } = await this.#host.run(`cd ${this.#directory}; ${script}`, { seconds });
    if (status === 0) return stdout;
    this.#overdue = what;
    const why = status === 1 ? 'its connection ended' : `nothing within ${seconds} s`;
    throw new Error(`waiting for ${what}: ${why}:\n${await this.log()}`);
  }
}

type Request = {
  readonly token: string;
  /** The script, as sent. */
  readonly line: string;
  readonly seconds: number;
  /** The host script that sends it. */
  readonly send: string;
};

function requestOf(script: string, seconds: number): Request {
  const line = script.trim().replaceAll(/\s*\n\s*/g, ' ');
  const token = randomBytes(6).toString('hex');
  return { token, line, seconds, send: `cat >>in <<'end'\n${token} ${seconds} ${line}\nend` };
}

function until(condition: string): string {
  return `until ${condition}; do [ -e ended ] && exit 1; sleep 0.2; done`;
}
