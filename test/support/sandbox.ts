import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { builtFile, projectRoot } from '../../src/project-root.ts';
import { beforeRemoval } from './before-removal.ts';
import { killMachinesIn } from './left-machines.ts';

export const VRING = join(projectRoot(), 'bin/vring');

/** Separate folders for a manager process: whatever runs with its environment sees no other VMs. */
export class Sandbox {
  readonly env: Readonly<Record<string, string>>;
  readonly #definitions: string;

  constructor(folder: string) {
    this.#definitions = join(folder, 'vms');
    mkdirSync(this.#definitions, { recursive: true });
    beforeRemoval(() => killMachinesIn(join(folder, 'run')));
    this.env = {
      VRING_RUNTIME_DIR: join(folder, 'run'),
      VRING_STATE_DIR: join(folder, 'state'),
      VRING_DEFINITIONS_DIR: this.#definitions,
    };
  }

  /** Writes a definition of the embedded guest. */
  define(name: string, append = 'quiet', more = ''): void {
    const machine = `machine:\n  kernel: ${builtFile('guest.elf')}\n  append: ${JSON.stringify(append)}\n`;
    const text = `name: ${name}\nmemory: 32M\n${machine}${more}`;
    writeFileSync(join(this.#definitions, `${name}.yaml`), text);
  }

  /** Runs a vring command. @returns its output */
  async vring(...args: string[]): Promise<string> {
    const { stdout } = await execa(VRING, args, { env: this.env, stdin: 'ignore', timeout: 60_000 });
    return stdout;
  }

  /** The background manager's process. */
  async managerPid(): Promise<number> {
    const { manager } = JSON.parse(await this.vring('version', '--json'));
    return manager.pid;
  }
}

/** The resources of a process, for comparing two moments. */
export function holdingsOf(pid: number): { threads: number; fds: number; residentMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    threads: field('Threads'),
    fds: readdirSync(`/proc/${pid}/fd`).length,
    residentMiB: field('VmRSS') / 1024,
  };
}
