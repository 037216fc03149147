import { closeSync } from 'node:fs';
import { printable } from '../../text/printable.ts';
import { type MachineConfig, parseMachineConfig } from '../../vmm/machine/config.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { HUGEPAGES } from '../../vmm/memory/hugepages.ts';
import { sealedMemfd } from '../../vmm/memory/sealed-memfd.ts';
import * as libc from '../../vmm/native/libc.ts';
import type { Definitions } from '../definitions.ts';
import type { RestoreFiles } from '../machines/machine.ts';
import type { Vm } from '../vm.ts';
import type { VmTasks } from '../vm-tasks.ts';
import { whyNotHere } from './fits-here.ts';
import type { Arrival, Load, Offer, ReceivingMemory } from './migration-info.ts';

/** The callbacks of an arriving VM to its engine. */
export type IncomingHost = {
  readonly definitions: Definitions;
  readonly tasks: VmTasks;
  vm(name: string): Vm | undefined;
  /** A VM without a definition. @throws when the name is taken */
  add(name: string): Vm;
  forget(vm: Vm): void;
  run(vm: Vm, config: MachineConfig, restore: RestoreFiles): Promise<void>;
  /** Removes what a machine of this name has kept: its UEFI variables. */
  removeFiles(vm: string): void;
  followDefinitions(): void;
  note(level: 'info' | 'warning' | 'error', text: string, vm: string): void;
};

/**
 * - `waiting`: for its memory
 * - `loading`: its machine is being built
 * - `loaded`: its machine has its state, and waits
 * - `here`: it has been told to run
 * - `closed`: nothing is left of it
 */
type Phase = 'waiting' | 'loading' | 'loaded' | 'here' | 'closed';

const GONE = 'its machine has ended';

/** A VM that is arriving from another host. */
export class Incoming implements Arrival {
  readonly #offer: Offer;
  readonly #host: IncomingHost;
  readonly #vm: Vm;
  readonly #config: MachineConfig;
  readonly #endTask: () => void;
  readonly #fds: number[] = [];
  readonly memory: ReceivingMemory;
  #phase: Phase = 'waiting';
  #closing: Promise<void> | null = null;

  /** Checks whether the VM can run here, and reserves its name. @throws with every reason why it cannot */
  constructor(offer: Offer, host: IncomingHost) {
    this.#offer = offer;
    this.#host = host;
    const { as: name } = offer;
    const config = configOf(offer);
    const problems = [...nameProblems(offer, host), ...whyNotHere(config, offer.facts)];
    if (problems.length > 0) throw new Error(`${printable(name)} cannot run there: ${problems.join('; ')}`);
    this.#config = config;
    const vm = host.add(name);
    this.#vm = vm;
    const endTask = host.tasks.begin(vm, { kind: 'receive', name: offer.from, phase: 'arriving' });
    this.#endTask = endTask;
    endTask.signal.addEventListener('abort', () => void this.close('it was canceled'));
    try {
      this.memory = this.#createMemory();
    } catch (error) {
      this.#release();
      throw error;
    }
    host.note('info', `arriving from ${printable(offer.from)}`, name);
  }

  async load({ config: given, paused }: Load): Promise<void> {
    if (this.#phase !== 'waiting') throw new Error('it is not waiting for its memory');
    const { name } = this.#vm;
    try {
      const config = { ...parseMachineConfig(given), name };
      if (config.memory.bytes !== this.#config.memory.bytes)
        throw new Error('it has another amount of memory than was announced');
      this.#phase = 'loading';
      this.#vm.task = { ...this.#vm.task!, phase: 'starting' };
      const { ram: ramFd, state: stateFd } = this.memory;
      await this.#host.run(this.#vm, config, { ramFd, stateFd, paused, arrives: true });
      // It may have been closed in the meantime.
      if (this.#phase !== 'loading') throw new Error('it was canceled');
      this.#phase = 'loaded';
      this.#closeFds();
    } catch (error) {
      const { message } = error as Error;
      await this.close(message);
      throw error;
    }
  }

  async go(): Promise<string | null> {
    if (this.#phase !== 'loaded') {
      await this.close('the other host has given it up too early');
      return 'it is not loaded';
    }
    const { name } = this.#vm;
    if (!this.#vm.alive) {
      const { reason } = this.#vm.info;
      await this.close(reason ?? GONE);
      return reason ?? GONE;
    }
    // From here on, only its machine knows whether it runs.
    this.#phase = 'here';
    try {
      await this.#vm.command('arrive', {});
    } finally {
      this.#endTask();
    }
    const { definition, from } = this.#offer;
    this.#vm.agent.clockStoodStill();
    this.#host.note('info', `arrived from ${printable(from)}`, name);
    if (definition === null) return null;
    try {
      const { definitions } = this.#host;
      definitions.save(name, definitionFor(this.#offer, definitions)!, { replace: false });
      this.#host.followDefinitions();
    } catch (error) {
      const { message } = error as Error;
      this.#host.note('error', `it runs, but its definition could not be saved: ${message}`, name);
    }
    return null;
  }

  async close(reason: string): Promise<void> {
    if (this.#phase === 'here') return;
    this.#closing ??= this.#close(reason);
    await this.#closing;
  }

  async #close(reason: string): Promise<void> {
    this.#phase = 'closed';
    const { name } = this.#vm;
    try {
      await this.#vm.kill(`its migration to this host has failed: ${reason}`);
    } catch (error) {
      this.#host.note('error', (error as Error).message, name);
    }
    this.#release();
    this.#host.note('warning', `did not arrive from ${printable(this.#offer.from)}: ${reason}`, name);
  }

  #release(): void {
    this.#closeFds();
    this.#endTask();
    if (!this.#vm.alive) this.#host.removeFiles(this.#vm.name);
    if (!this.#vm.alive && this.#vm.defined === null) this.#host.forget(this.#vm);
  }

  #createMemory(): ReceivingMemory {
    const { bytes, hugepages } = this.#config.memory;
    const flags = hugepages === undefined ? 0 : libc.MFD_HUGETLB | HUGEPAGES[hugepages].flag;
    const open = (fd: number) => {
      this.#fds.push(fd);
      return fd;
    };
    return {
      pid: process.pid,
      ram: open(sealedMemfd('guest-ram', bytes, flags)),
      ramBytes: bytes,
      state: open(libc.memfdCreate('vm-state')),
    };
  }

  #closeFds(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }
}

/** @throws why this version cannot build the machine */
function configOf({ as, config }: Offer): MachineConfig {
  try {
    return { ...parseMachineConfig(config), name: as };
  } catch (error) {
    throw new Error(`the vring there cannot build its machine: ${(error as Error).message}`);
  }
}

function nameProblems({ as, definition, ...offer }: Offer, host: IncomingHost): string[] {
  if (!VM_NAME.pattern.test(as))
    return [`"${printable(as)}" cannot be the name of a VM: expected ${VM_NAME.rule}`];
  const there = host.vm(as);
  if (there?.alive || there?.defined || there?.saved)
    return [`there is already a VM named ${as}: choose another name with --as`];
  try {
    const text = definitionFor({ as, definition, ...offer }, host.definitions);
    if (text !== null) host.definitions.check(as, text);
    return [];
  } catch (error) {
    return [`its definition is not valid there: ${(error as Error).message}`];
  }
}

function definitionFor(
  { as, name, definition }: Pick<Offer, 'as' | 'name' | 'definition'>,
  definitions: Definitions,
): string | null {
  if (definition === null || as === name) return definition;
  return definitions.renamed(definition, name, as);
}
