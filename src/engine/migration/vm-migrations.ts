import { removeVariables, withoutOwnVariables } from '../firmware/variables.ts';
import type { Vm } from '../vm.ts';
import { Incoming, type IncomingHost } from './incoming.ts';
import type { Arrival, Migrated, MigrateOptions, Offer } from './migration-info.ts';
import { sendVm, UnknownOutcomeError } from './outgoing.ts';
import { sshCommand } from './transport.ts';

/** The callbacks of migrations to their engine. */
export type MigrationHost = Omit<IncomingHost, 'removeFiles'> & {
  /** The folder of UEFI variables; null if there is none. */
  readonly variables: string | null;
  /** Deletes a VM that is off. */
  remove(vm: Vm): Promise<void>;
};

/** The migrations of an engine's VMs to other hosts, and from there. */
export class VmMigrations {
  readonly #host: MigrationHost;

  constructor(host: MigrationHost) {
    this.#host = host;
  }

  /** Prepares for a VM of another host. @throws with every reason why it cannot run here */
  receive(offer: Offer): Arrival {
    return new Incoming(offer, {
      ...this.#host,
      removeFiles: vm => removeVariables(this.#host.variables, vm),
    });
  }

  /** Sends a VM to another host, and ends it here. @throws why it is not there */
  async send(vm: Vm, options: MigrateOptions): Promise<Migrated> {
    const { tasks, note } = this.#host;
    const { destination } = options;
    if (options.command === undefined) sshCommand(destination);
    let migrated: Migrated;
    try {
      migrated = await tasks.during(
        vm,
        { kind: 'migrate', name: destination, phase: 'connecting' },
        async signal => {
          const sent = await sendVm(vm, options, {
            definition: vm.defined === null ? null : this.#host.definitions.text(vm.name),
            toSend: config => withoutOwnVariables(config, this.#host.variables),
            signal,
          });
          await this.#end(vm, destination);
          return sent;
        },
      );
    } catch (error) {
      const level = error instanceof UnknownOutcomeError ? 'error' : 'warning';
      note(level, `not migrated to ${destination}: ${(error as Error).message}`, vm.name);
      throw error;
    }
    const { totalMs, downtimeMs } = migrated;
    note(
      'info',
      `migrated to ${destination} in ${(totalMs / 1000).toFixed(1)} s; its guest stood still for ${Math.round(downtimeMs)} ms`,
      vm.name,
    );
    if (!options.keep) await this.#forget(vm);
    return migrated;
  }

  /** Its machine here is stopped for good. */
  async #end(vm: Vm, destination: string): Promise<void> {
    try {
      await vm.kill(`migrated to ${destination}`);
    } catch (error) {
      this.#host.note('error', (error as Error).message, vm.name);
    }
  }

  async #forget(vm: Vm): Promise<void> {
    try {
      if (!vm.alive) await this.#host.remove(vm);
    } catch (error) {
      const { message } = error as Error;
      this.#host.note('error', `it runs on the other host, but is not removed here: ${message}`, vm.name);
    }
  }
}
