import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { HostRequest } from './vring-host.ts';

/** A process of vring's engine, bundled as the released command is, that takes requests (see vring-host.ts). */
export class VringProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #exit: Promise<never>;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#exit = once(child, 'exit').then(() => {
      throw new Error("vring's process ended");
    });
    this.#exit.catch(() => {});
  }

  static async start(): Promise<VringProcess> {
    // Inside the checkout, so that koffi and dist/ are found.
    const cache = join(import.meta.dirname, '../.cache');
    await mkdir(cache, { recursive: true });
    const directory = await mkdtemp(join(cache, 'bench-'));
    await build({
      entryPoints: {
        host: join(import.meta.dirname, 'vring-host.ts'),
        'machine-thread': join(import.meta.dirname, '../src/vmm/machine/thread.ts'),
      },
      outdir: directory,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      external: ['koffi'],
      define: { 'process.env.NODE_ENV': '"production"' },
    });
    return new VringProcess(fork(join(directory, 'host.js'), { stdio: 'inherit' }), directory);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async request(request: HostRequest): Promise<number> {
    const reply = once(this.#child, 'message');
    this.#child.send(request);
    const [value] = await Promise.race([reply, this.#exit]);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#exit.catch(() => {});
    await rm(this.#directory, { recursive: true, force: true });
  }
}
