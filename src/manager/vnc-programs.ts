import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { LocalEngine } from '../engine/local-engine.ts';
import { parseServed } from '../engine/served-vnc.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import { describeLayers } from '../vmm/confinement/layer.ts';
import type { VncSettings } from '../vmm/machine/vnc-settings.ts';
import { vringProgram } from './start-manager.ts';

/** How many characters of such a program's output are kept. */
const SAID_MAX = 2000;

type VncEngine = Pick<LocalEngine, 'note' | 'subscribe' | 'vms' | 'servesVnc'>;

/** Runs `vring vm vnc` for each VM whose configuration requests it, while the VM has a machine. */
export class VncPrograms {
  readonly #engine: VncEngine;
  readonly #programs = new Map<string, ChildProcess>();
  readonly #unsubscribe: () => void;

  constructor(engine: VncEngine) {
    this.#engine = engine;
    this.#unsubscribe = engine.subscribe(event => {
      if (event.kind === 'vm') this.#follow(event.vm);
      if (event.kind === 'removed') this.#end(event.id);
    });
    for (const vm of engine.vms()) this.#follow(vm);
  }

  close(): void {
    this.#unsubscribe();
    for (const id of this.#programs.keys()) this.#end(id);
  }

  #follow(vm: VmInfo): void {
    const isUp = isAlive(vm) && vm.topology !== null;
    if (!isUp || vm.vnc === undefined) this.#end(vm.id);
    else if (!this.#programs.has(vm.id)) this.#start(vm, vm.vnc);
  }

  #start({ id, name }: VmInfo, settings: VncSettings): void {
    const program = spawn(
      process.execPath,
      [...vringProgram(), 'vm', 'vnc', name, '--child', ...words(settings)],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    this.#programs.set(id, program);
    let said = '';
    program.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-SAID_MAX);
    });
    createInterface({ input: program.stdout! }).once('line', line => {
      const served = parseServed(line);
      if (served === null || this.#programs.get(id) !== program) return;
      const { address, confinement } = served;
      this.#engine.servesVnc(id, served);
      this.#engine.note('info', `VNC at ${address}, ${describeLayers(confinement)}`, id);
    });
    program.stdin!.on('error', () => {});
    program.on('error', error => this.#engine.note('warning', `VNC: ${error.message}`, id));
    program.on('exit', code => {
      removeSocket(settings);
      if (this.#programs.get(id) === program) this.#engine.servesVnc(id, null);
      const line = said
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^vring: /, '');
      const vm = this.#engine.vms().find(each => each.id === id);
      // No retry until the next start: what failed once would fail again.
      if (this.#programs.get(id) === program && code !== 0 && vm !== undefined && isAlive(vm))
        this.#engine.note('warning', `the VNC server has ended: ${line || `exit status ${code}`}`, id);
    });
  }

  /** It ends when its standard input does, even when this process is killed. */
  #end(id: string): void {
    const program = this.#programs.get(id);
    if (program === undefined) return;
    this.#programs.delete(id);
    this.#engine.servesVnc(id, null);
    program.stdin?.end();
  }
}

/** A confined program cannot remove its socket. */
function removeSocket({ listen }: VncSettings): void {
  const [, path] = /^unix:(.+)$/.exec(listen) ?? [];
  if (path !== undefined && statSync(path, { throwIfNoEntry: false })?.isSocket())
    rmSync(path, { force: true });
}

function words({ listen, passwordFile, tlsCert, tlsKey, layout, viewOnly }: VncSettings): string[] {
  return [
    ...['--listen', listen],
    ...(passwordFile === undefined ? [] : ['--password-file', passwordFile]),
    ...(tlsCert === undefined ? [] : ['--tls-cert', tlsCert]),
    ...(tlsKey === undefined ? [] : ['--tls-key', tlsKey]),
    ...(layout === undefined ? [] : ['--layout', layout]),
    ...(viewOnly ? ['--view-only'] : []),
  ];
}
