import { hostname } from 'node:os';
import { version } from '../../project-root.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import { CONNECTION_LOST, FORMAT } from '../../vmm/migration/stream.ts';
import { parseMigrationFacts, parseSentMachine } from '../machines/machine-messages.ts';
import type { Vm } from '../vm.ts';
import { DEFAULT_DOWNTIME_MS, type Load, type Migrated, type MigrateOptions } from './migration-info.ts';
import { whyDisksDoNotMigrate, whyNotMigrated } from './refusal.ts';
import { OtherHostError, Transport } from './transport.ts';

/** How long the other host may take to examine the VM, to build its machine, and to run it. */
const ACCEPT_MS = 60_000;
const LOAD_MS = 30_000;
const RUN_MS = 30_000;

export type OutgoingHost = {
  /** The text of its definition; null if it has none. */
  readonly definition: string | null;
  /** Its configuration as another host should have it. */
  toSend(config: MachineConfig): MachineConfig;
  readonly signal: AbortSignal;
};

/** Whether the VM now runs on the other host is not known. It stays stopped here. */
export class UnknownOutcomeError extends Error {
  override readonly name = 'UnknownOutcomeError';
}

/**
 * Sends a VM to another host. When this resolves, it runs there, and its machine here is stopped for good.
 * @throws why it did not migrate: it then keeps running here; or UnknownOutcomeError
 */
export async function sendVm(vm: Vm, options: MigrateOptions, host: OutgoingHost): Promise<Migrated> {
  const { signal } = host;
  const begun = performance.now();
  const problems = whyNotMigrated(vm);
  if (problems.length > 0) throw new Error(`${vm.name} cannot migrate: ${problems.join('; ')}`);
  const facts = parseMigrationFacts(await vm.command('migration-facts', {}));
  const ofDisks = whyDisksDoNotMigrate(facts.disks);
  if (ofDisks.length > 0) throw new Error(`${vm.name} cannot migrate: ${ofDisks.join('; ')}`);
  signal.throwIfAborted();
  const { devices } = vm;
  const as = options.as ?? vm.name;
  const transport = new Transport(options);
  const abort = () => transport.close();
  signal.addEventListener('abort', abort);
  try {
    await transport.expect('ready', ACCEPT_MS, 'the other host has not answered within a minute');
    await transport.send({
      kind: 'offer',
      format: FORMAT,
      version: version(),
      from: hostname(),
      name: vm.name,
      as,
      definition: host.definition,
      config: host.toSend(devices!.configAt(facts.places)),
      facts,
    });
    await transport.expect('accepted', ACCEPT_MS, 'the other host has not answered within a minute');
    const { maxDowntimeMs = DEFAULT_DOWNTIME_MS, bandwidth = null, timeoutMs = null } = options;
    const request = { maxDowntimeMs, bandwidth, timeoutMs, thenPause: options.thenPause ?? false };
    const sent = await sendMachine(vm, request, transport);
    const stoppedAt = performance.now() - sent.stoppedForMs;
    if (vm.task !== null) vm.task = { ...vm.task, phase: 'switching' };
    signal.throwIfAborted();
    const load: Load = {
      config: host.toSend(devices!.configAt(sent.places)),
      paused: vm.info.state === 'paused',
    };
    await transport.send({ kind: 'load', ...load });
    await transport.expect('loaded', LOAD_MS, 'the other host has not loaded the VM in time');
    signal.throwIfAborted();
    signal.removeEventListener('abort', abort);
    await giveAway(vm, options.destination, as, transport);
    const now = performance.now();
    return {
      name: as,
      destination: options.destination,
      totalMs: now - begun,
      downtimeMs: now - stoppedAt,
      rounds: sent.rounds,
      sent: sent.sent,
    };
  } catch (error) {
    if (error instanceof UnknownOutcomeError) throw error;
    transport.close();
    if (!vm.alive) throw new Error(`${vm.name} has ended: ${vm.info.reason}`);
    await goOn(vm, signal.aborted ? (signal.reason as Error) : (error as Error));
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    transport.close();
  }
}

/** Has the machine send itself, until the other host gives up. */
async function sendMachine(
  vm: Vm,
  request: Parameters<typeof vm.commandWithFds<'migrate'>>[1],
  transport: Transport,
) {
  const over = new AbortController();
  try {
    const failure = transport.untilFailure(over.signal);
    failure.catch(() => {});
    return parseSentMachine(
      await Promise.race([vm.commandWithFds('migrate', request, [transport.fd]), failure]),
    );
  } catch (error) {
    if ((error as Error).message !== CONNECTION_LOST) throw error;
    throw (await transport.lastWords()) ?? error;
  } finally {
    over.abort();
  }
}

/** From the first step on, the machine does not go on by itself. @throws UnknownOutcomeError */
async function giveAway(vm: Vm, destination: string, as: string, transport: Transport): Promise<void> {
  const check = `check with "vring vm list" on ${destination} whether ${as} runs there: if not, vring vm resume ${vm.name} continues it here, else vring vm kill ${vm.name} ends it`;
  const reason = `it was handed to ${destination}, which has not confirmed that it runs there; ${check}`;
  await vm.command('commit-migration', { reason });
  try {
    await transport.send({ kind: 'go' });
    await transport.expect('running', RUN_MS, 'the other host has not confirmed that the VM runs');
  } catch (error) {
    // It says that the VM has never run there.
    if (error instanceof OtherHostError) throw error;
    throw new UnknownOutcomeError(`${(error as Error).message}; ${vm.name} is stopped: ${check}`);
  }
}

/** It keeps running here. @throws if its files are in use elsewhere: it then stays stopped */
async function goOn(vm: Vm, cause: Error): Promise<void> {
  try {
    await vm.command('end-migration', {});
  } catch (error) {
    // It has ended, or stays stopped, with the reason.
    if (vm.alive && vm.info.state === 'paused')
      throw new Error(`${cause.message}; ${vm.name} stays stopped: ${(error as Error).message}`);
  }
}
