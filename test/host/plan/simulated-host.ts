import { removeFiles, replaceFile } from '../../../src/files/replace-file.ts';
import type { HostWriter } from '../../../src/host/plan/writer.ts';
import type { CommandResult } from '../../../src/host/recorded-facts.ts';
import type { HostRoot } from '../../../src/host/root.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { runCommand } from './simulated-commands.ts';
import { KernelAnswer, SimulatedPci } from './simulated-pci.ts';
import { SimulatedSriov } from './simulated-sriov.ts';

/** How one operation goes wrong: refused, accepted without any effect, or done and yet reported as failed. */
export type Fault = 'refused' | 'ignored' | 'done-but-reported';

/** A tree that answers writes and commands as a host does. */
export class SimulatedHost implements HostWriter {
  readonly root: HostRoot;
  readonly pci: SimulatedPci;
  readonly sriov: SimulatedSriov;
  readonly tree: TreeBuilder;
  /** What was done, as one line each. */
  readonly log: string[] = [];
  #fault: { readonly at: number; readonly kind: Fault } | null = null;

  constructor(tree: TreeBuilder) {
    this.tree = tree;
    this.pci = new SimulatedPci(tree);
    this.root = this.pci.root;
    this.sriov = new SimulatedSriov(tree, this.pci);
  }

  /** Lets the operation with this number, from 0, go wrong. Those after it work again. */
  failAt(at: number, kind: Fault): void {
    this.#fault = { at, kind };
  }

  writeAttribute(path: string, value: string): Promise<void> {
    return this.#operate(`write ${value.trim()} > ${path}`, () => this.#write(path, value));
  }

  replaceFile(path: string, content: string, mode: number, backup: string | null): Promise<void> {
    const keep = backup === null ? null : { path: this.root.resolve(backup), replace: false };
    return this.#operate(`file ${path}`, () =>
      replaceFile(this.root.resolve(path), content, { mode, backup: keep }),
    );
  }

  removeFiles(paths: readonly string[], directory: boolean): Promise<void> {
    const files = paths.map(path => this.root.resolve(path));
    return this.#operate(`remove ${paths.join(' ')}`, () => removeFiles(files, directory));
  }

  readonly writeSeconds = null;

  close(): void {}

  async run(argv: readonly [string, ...string[]]): Promise<CommandResult | null> {
    let result: CommandResult | null = { exitCode: 0, stdout: '', stderr: '' };
    try {
      await this.#operate(argv.join(' '), () => {
        result = runCommand(this, argv);
      });
    } catch (error) {
      return { exitCode: 1, stdout: '', stderr: (error as Error).message };
    }
    return result;
  }

  /** Time passes as fast as it can. */
  async sleep(): Promise<void> {}

  dispose(): void {
    this.sriov.dispose();
    this.pci.dispose();
  }

  async #operate(line: string, operation: () => void | Promise<void>): Promise<void> {
    const fault = this.#fault?.at === this.log.length ? this.#fault.kind : null;
    this.log.push(line);
    if (fault === 'refused') throw new KernelAnswer('EIO');
    if (fault === 'ignored') return;
    await operation();
    if (fault === 'done-but-reported') throw new KernelAnswer('EIO');
  }

  #write(path: string, value: string): void {
    const [, driver, operation] = /^\/sys\/bus\/pci\/drivers\/([^/]+)\/(bind|unbind)$/.exec(path) ?? [];
    if (operation === 'bind') this.pci.bind(driver!, value);
    else if (operation === 'unbind') this.pci.unbind(value, driver!);
    else if (path === '/sys/bus/pci/drivers_probe') this.pci.probe(value);
    else this.#writeDevice(path, value);
  }

  #writeDevice(path: string, value: string): void {
    const [, address, attribute] = /^\/sys\/bus\/pci\/devices\/([0-9a-f:.]+)\/(.*)$/.exec(path) ?? [];
    if (address === undefined || !this.pci.devices().includes(address)) throw new KernelAnswer('ENOENT');
    const directory = this.pci.directory(address);
    if (attribute === 'driver/unbind') this.pci.unbind(address);
    else if (attribute === 'driver_override') this.pci.setOverride(address, value);
    else if (attribute === 'sriov_numvfs') this.sriov.setCount(directory, value);
    else if (attribute === 'sriov_drivers_autoprobe')
      this.tree.file(`${directory}/${attribute}`, `${value.trim()}\n`);
    else throw new KernelAnswer('ENOENT');
  }
}
