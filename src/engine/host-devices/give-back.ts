import { setImmediate as turn } from 'node:timers/promises';
import { readPci } from '../../host/pci/read.ts';
import { pendingAddresses } from '../../host/pending-writes.ts';
import { undoAll } from '../../host/plan/apply.ts';
import { giveBackChanges, whereabouts } from '../../host/plan/give-back.ts';
import { sysfsPath } from '../../host/plan/survey.ts';
import type { HostWriter } from '../../host/plan/writer.ts';
import { type PhysicalFunction, readSriov } from '../../host/sriov/read.ts';
import { sentenceList } from '../../host/text.ts';
import { holderAndUser } from '../../host/use/holders.ts';
import { readOpenFiles } from '../../host/use/open-files.ts';
import { readVfio } from '../../host/vfio/read.ts';
import { isMoved, type TakenDevice } from '../../host/vfio/taken.ts';
import type { LendingTools } from './tools.ts';

/** A device that could not be given back, and why, briefly. */
export type Outstanding = {
  readonly taken: TakenDevice;
  readonly reason: string;
  /** A process has it open. */
  readonly isOpen: boolean;
};

/**
 * Restores devices to their earlier state and removes their records. The caller holds the host lock.
 * @returns those whose records stay, because a process has them open or the kernel refuses
 */
export async function giveBack(
  tools: LendingTools,
  devices: readonly TakenDevice[],
): Promise<readonly Outstanding[]> {
  for (const taken of devices.filter(each => !needsReturn(each))) {
    tools.records.remove(taken.address);
    if (isMoved(taken)) tools.note('info', `left ${taken.address} bound to ${taken.driver} (keep)`, taken.vm);
  }
  const returning = devices.filter(needsReturn);
  if (returning.length === 0) return [];
  const host = await readState(tools);
  const writer = new LazyWriter(tools);
  const outstanding: Outstanding[] = [];
  try {
    for (const taken of returning) {
      const reason = await giveBackOne(tools, taken, host, writer);
      if (reason !== null) outstanding.push({ taken, reason, isOpen: host.openIn.has(taken.address) });
    }
  } finally {
    writer.close();
  }
  return outstanding;
}

function needsReturn(taken: TakenDevice): boolean {
  return !taken.keep && (isMoved(taken) || taken.vf !== null);
}

type HostState = {
  /** The processes that have a function open, by its address. */
  readonly openIn: ReadonlyMap<string, string>;
  readonly physicalFunctions: ReadonlyMap<string, PhysicalFunction>;
  /** Functions with a change that the kernel has not completed. */
  readonly pending: ReadonlySet<string>;
};

/** Yields between the parts, so that the manager keeps answering its clients. */
async function readState({ root }: LendingTools): Promise<HostState> {
  const functions = readPci(root);
  await turn();
  const open = readVfio(await readOpenFiles(root), functions).devices.filter(
    ({ holders }) => holders.length > 0,
  );
  await turn();
  return {
    openIn: new Map(
      open.map(({ address, holders }) => [address, sentenceList(holders.map(holderAndUser))] as const),
    ),
    physicalFunctions: new Map((await readSriov(root, functions)).map(pf => [pf.address, pf])),
    pending: pendingAddresses(root),
  };
}

/** @returns why its record stays; null if it is given back, or nothing is left to give back */
async function giveBackOne(
  { root, records, note }: LendingTools,
  taken: TakenDevice,
  { openIn, physicalFunctions, pending }: HostState,
  writer: LazyWriter,
): Promise<string | null> {
  const { address, vm, before, vf } = taken;
  const place = whereabouts(root, taken);
  if (place === 'gone') {
    records.remove(address);
    note('warning', `${address} no longer exists: it is not given back`, vm);
    return null;
  }
  if (pending.has(address)) return 'the kernel has not completed an earlier change of it';
  const open = openIn.get(address);
  if (open !== undefined) return `it is open in ${open}`;
  const changes = giveBackChanges(
    root,
    taken,
    vf === null ? undefined : physicalFunctions.get(vf.physicalFunction),
  );
  try {
    const undone = await undoAll(writer.get(), changes);
    const failed = undone.filter(({ state }) => state === 'failed');
    if (failed.length > 0) return failed.map(({ reason }) => reason).join('; ');
  } catch (error) {
    return (error as Error).message;
  }
  records.remove(address);
  if (place === 'rebound') {
    const driver = root.linkName(`${sysfsPath(taken)}/driver`);
    note('info', `${address} was taken back by the host: it is bound to ${driver}`, vm);
  } else if (isMoved(taken)) {
    note(
      'info',
      before.driver === null
        ? `gave ${address} back, without a driver as before`
        : `gave ${address} back to ${before.driver}`,
      vm,
    );
  }
  return null;
}

/** Opened on first use: only root can have a writer, and most devices need none to be given back. */
class LazyWriter {
  readonly #tools: LendingTools;
  #writer: HostWriter | null = null;

  constructor(tools: LendingTools) {
    this.#tools = tools;
  }

  get(): HostWriter {
    this.#writer ??= this.#tools.writer();
    return this.#writer;
  }

  close(): void {
    this.#writer?.close();
  }
}
