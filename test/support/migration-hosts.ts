import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import type { MigrateOptions } from '../../src/engine/migration/migration-info.ts';
import { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import type { VmInfo } from '../../src/engine/vm-info.ts';
import { shellText } from '../../src/text/shell.ts';
import { killMachinesIn } from './left-machines.ts';
import { isRunning } from './manager-process.ts';
import { VRING } from './sandbox.ts';

function serve(env: Readonly<Record<string, string>>) {
  return execa(VRING, ['serve'], { reject: false, stdin: 'ignore', env });
}

/** One of several managers on this host, with folders of its own, that VMs migrate between. Uses the built program. */
export class MigrationHost {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly definitions: string;
  #manager: ReturnType<typeof serve> | null = null;
  #engine: RemoteEngine | null = null;

  private constructor(parent: string, name: string, env: Readonly<Record<string, string>>) {
    const folder = join(parent, name);
    this.name = name;
    this.definitions = join(folder, 'vms');
    mkdirSync(this.definitions, { recursive: true });
    this.env = {
      ...env,
      VRING_RUNTIME_DIR: join(folder, 'run'),
      VRING_STATE_DIR: join(folder, 'state'),
      VRING_DEFINITIONS_DIR: this.definitions,
    };
  }

  /** Ends with the test. @param env more of its manager's environment */
  static async start(
    parent: string,
    name: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<MigrationHost> {
    const host = new MigrationHost(parent, name, env);
    onTestFinished(() => host.#end());
    await host.startManager();
    return host;
  }

  get engine(): RemoteEngine {
    return this.#engine!;
  }

  get managerPid(): number {
    return this.#manager!.pid!;
  }

  async startManager(): Promise<void> {
    const manager = serve(this.env);
    this.#manager = manager;
    const path = join(this.env.VRING_RUNTIME_DIR!, 'control.sock');
    for (;;) {
      try {
        this.#engine = await RemoteEngine.attach({ path, terminal: 'test@test' });
        return;
      } catch (error) {
        if (!isRunning(manager.pid!)) throw new Error(`the manager ended: ${(await manager).stderr}`);
        const { code } = error as { code?: string };
        if (code === undefined) throw error;
      }
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }

  async killManager(): Promise<void> {
    this.#manager!.kill('SIGKILL');
    await this.#manager;
    await this.engine.close();
  }

  vm(name: string): VmInfo | undefined {
    return this.engine.vms().find(vm => vm.name === name);
  }

  /** The words that lead to `vring vm receive` there. */
  get receiver(): string[] {
    const own = Object.entries(this.env).filter(([name]) => name.startsWith('VRING_'));
    const words = own.map(([name, value]) => `${name}=${value}`);
    return ['env', ...words, VRING, 'vm', 'receive'];
  }

  /** How another host reaches this one. */
  get options(): MigrateOptions {
    return { destination: this.name, command: `exec ${shellText(this.receiver)}` };
  }

  /** The log about a VM, without times. */
  log(vm: string): string[] {
    return this.engine
      .log()
      .filter(entry => entry.vm === vm)
      .map(({ text }) => text);
  }

  definition(vm: string): string | null {
    try {
      return readFileSync(join(this.definitions, `${vm}.yaml`), 'utf8');
    } catch {
      return null;
    }
  }

  async #end(): Promise<void> {
    if (this.#manager !== null) await this.killManager();
    killMachinesIn(this.env.VRING_RUNTIME_DIR!);
  }
}
