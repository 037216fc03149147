import type { ConsoleLink, Engine } from '../../src/engine/engine.ts';
import type { VmInfo, VmState } from '../../src/engine/vm-info.ts';
import { builtFile } from '../../src/project-root.ts';
import type { MachineConfigInput } from '../../src/vmm/machine/config.ts';

const MiB = 2 ** 20;
const PROMPT = '> ';

/** The embedded guest in a VM of an engine, driven over its serial port. No wait outlasts the test's timeout. */
export class GuestVm {
  readonly id: string;
  readonly #engine: Engine;
  readonly #console: ConsoleLink;
  #output = '';
  readonly #waiting = new Set<() => void>();

  private constructor(engine: Engine, id: string) {
    this.#engine = engine;
    this.id = id;
    const check = () => {
      for (const check of this.#waiting) check();
    };
    this.#console = engine.openConsole(id, {
      printed: bytes => {
        this.#output += Buffer.from(bytes).toString('latin1');
        check();
      },
    });
    engine.subscribe(check);
  }

  /** Starts the guest with `append` as its command line. */
  static async start(
    engine: Engine,
    options: Partial<MachineConfigInput> & { append?: string } = {},
  ): Promise<GuestVm> {
    const { append = '', ...config } = options;
    const id = await engine.start({
      name: 'guest',
      memory: { bytes: 32 * MiB },
      boot: { kind: 'kernel', path: builtFile('guest.elf'), append },
      ...config,
    });
    return new GuestVm(engine, id);
  }

  /** The guest of a running VM, with its output so far. */
  static of(engine: Engine, id: string): GuestVm {
    return new GuestVm(engine, id);
  }

  /** What the guest has printed so far. */
  get output(): string {
    return this.#output;
  }

  get info(): VmInfo {
    return this.#engine.vms().find(vm => vm.id === this.id)!;
  }

  /** Resolves once `pattern` appears in the guest's output. @throws if the VM ends before that. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => {
      const match = pattern.exec(this.#output);
      if (match === null && isOver(this.info)) {
        throw new Error(`the VM ended (${this.info.reason}) before it printed ${pattern}:\n${this.#output}`);
      }
      return match;
    });
  }

  /** Waits for the prompt, types a command and resolves with its output, up to the next prompt. */
  async command(line: string): Promise<string> {
    await this.printed(/> $/);
    const before = this.#output.length;
    await this.#type(Buffer.from(`${line}\r`));
    return this.#until(() => {
      const printed = this.#output.slice(before);
      if (isOver(this.info)) return printed;
      return printed.includes('\n') && printed.endsWith(PROMPT) ? printed : null;
    });
  }

  /** Types Ctrl-C, which ends a long-running command. */
  async interrupt(): Promise<void> {
    await this.#type(Uint8Array.of(3));
  }

  /** Takes the keyboard from any other object for the same VM. */
  async #type(bytes: Uint8Array): Promise<void> {
    await this.#console.takeKeyboard(true);
    this.#console.type(bytes);
  }

  /** Resolves once the VM is in `state`. */
  async reached(state: VmState): Promise<VmInfo> {
    return this.#until(() => (this.info.state === state ? this.info : null));
  }

  #until<T>(poll: () => T | null): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = () => {
        try {
          const value = poll();
          if (value === null) return;
          this.#waiting.delete(check);
          resolve(value);
        } catch (error) {
          this.#waiting.delete(check);
          reject(error);
        }
      };
      this.#waiting.add(check);
      check();
    });
  }
}

function isOver(vm: VmInfo): boolean {
  return vm.state === 'off' || vm.state === 'crashed';
}

/** The fields of a guest's `result NAME a=1 b=2` line. */
export function resultOf(output: string, name: string): Record<string, number> {
  const line = new RegExp(`^result ${name} (.*)$`, 'm').exec(output)?.[1];
  if (line === undefined) throw new Error(`no result of ${name} in:\n${output}`);
  return Object.fromEntries(
    line
      .trim()
      .split(' ')
      .map(field => field.split('='))
      .map(([key, value]) => [key, Number(value)]),
  );
}
