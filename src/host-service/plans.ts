import { isDeepStrictEqual } from 'node:util';
import { iommuParameters } from '../host/doctor/iommu.ts';
import { readCpu } from '../host/doctor/processor.ts';
import { networkNamed } from '../host/networks/definition.ts';
import { type HostNetworks, readHostNetworks } from '../host/networks/host-networks.ts';
import { assess } from '../host/passthrough/assess.ts';
import type { Assessment, PassthroughRequest } from '../host/passthrough/assessment.ts';
import type { Outcome, Progress } from '../host/plan/apply.ts';
import { planBind } from '../host/plan/bind.ts';
import type { ChangeLock } from '../host/plan/change-lock.ts';
import { Journal, journalDirectory, latestEntry } from '../host/plan/journal.ts';
import type { JournalEntry } from '../host/plan/journal-schema.ts';
import { planKernelParameters } from '../host/plan/kernel-parameters.ts';
import { planNetworkCreate, planNetworkDelete } from '../host/plan/networks/create.ts';
import { planNetworkStart } from '../host/plan/networks/start.ts';
import { planNetworkStop } from '../host/plan/networks/stop.ts';
import { blocks, type Plan } from '../host/plan/plan.ts';
import { systemWriter } from '../host/plan/process-writer.ts';
import { runPlan, type UndoOutcome, undoEntry } from '../host/plan/run.ts';
import { readSurvey } from '../host/plan/survey.ts';
import { planUnbind } from '../host/plan/unbind.ts';
import { planVfAttributes } from '../host/plan/vf-attributes.ts';
import { planVfCount } from '../host/plan/vf-count.ts';
import type { HostWriter } from '../host/plan/writer.ts';
import type { HostRoot } from '../host/root.ts';
import type { PlanRequest } from './requests.ts';

export type PlansOptions = {
  readonly writer?: HostWriter;
  readonly journal?: Journal;
  readonly lock?: ChangeLock;
};

/** The plan that undo would undo, and problems of the journal. */
export type LastPlan = { readonly entry: JournalEntry | null; readonly damaged: readonly string[] };

/** A plan that was shown, and its request. */
export type ShownPlan = { readonly request: PlanRequest; readonly plan: Plan };

/** Makes, applies and undoes plans for the UI. */
export class HostPlans {
  readonly #root: HostRoot;
  readonly #journal: Journal;
  readonly #lock: ChangeLock;
  readonly #writer: () => HostWriter;

  /** Changes the running system; tests pass another writer. */
  constructor(root: HostRoot, { writer, journal = new Journal(), lock = systemLock }: PlansOptions = {}) {
    this.#root = root;
    this.#journal = journal;
    this.#lock = lock;
    this.#writer = () => writer ?? systemWriter(root);
  }

  /** @throws the reason if there is no plan, as a sentence */
  async make(request: PlanRequest): Promise<Plan> {
    if (request.kind === 'iommu')
      return planKernelParameters(this.#root, iommuParameters(this.#root, readCpu(this.#root)));
    switch (request.kind) {
      case 'network-create': {
        const { kind: _, ...network } = request;
        return await planNetworkCreate(this.#root, network);
      }
      case 'network-start':
        return await planNetworkStart(this.#root, networkNamed(this.#root, request.name));
      case 'network-stop':
        return await planNetworkStop(this.#root, networkNamed(this.#root, request.name));
      case 'network-delete':
        return await planNetworkDelete(this.#root, networkNamed(this.#root, request.name));
    }
    const survey = await readSurvey(this.#root);
    switch (request.kind) {
      case 'bind':
        return planBind(survey, request);
      case 'unbind':
        return planUnbind(survey, request);
      case 'vf-count':
        return planVfCount(survey, request);
      case 'vf-attributes':
        return planVfAttributes(survey, request);
    }
  }

  /** What VMs can be connected to on this host, as it is now. */
  networks(): Promise<HostNetworks> {
    return readHostNetworks(this.#root);
  }

  /** @throws for an unknown address */
  async assess(request: PassthroughRequest): Promise<Assessment> {
    return assess(await readSurvey(this.#root), request);
  }

  /** Applies a plan that was shown, unless a new plan for its request would differ. */
  async apply({ request, plan }: ShownPlan, progress: Progress): Promise<Outcome> {
    return await this.#changing(async writer => {
      const problem = difference(plan, await this.make(request));
      if (problem === null) return await runPlan(writer, this.#journal, plan, progress);
      const steps = plan.steps.map(() => 'pending' as const);
      return { state: 'refused', steps, problem, rollback: [], left: [] };
    });
  }

  last(): LastPlan {
    const content = this.#journal.read();
    return { entry: latestEntry(content), damaged: content.damaged };
  }

  /** @throws if the plan is no longer the last one */
  async undo(id: string): Promise<UndoOutcome> {
    return await this.#changing(async writer => {
      const { entry } = this.last();
      if (entry?.id !== id)
        throw new Error('another plan was applied or undone in the meantime: open undo again');
      return await undoEntry(writer, this.#journal, entry);
    });
  }

  /** Holds the host lock in the meantime. */
  async #changing<T>(change: (writer: HostWriter) => Promise<T>): Promise<T> {
    const writer = this.#writer();
    try {
      return await this.#lock(() => change(writer));
    } finally {
      writer.close();
    }
  }
}

/** Why a plan that was shown must not be applied, given the plan that would be made now; null if it may. */
function difference(shown: Plan, now: Plan): string | null {
  const known = new Set(blocks(shown).map(check => `${check.subject} ${check.code}`));
  const added = blocks(now).find(check => !known.has(`${check.subject} ${check.code}`));
  if (added !== undefined)
    return `${added.subject ?? 'the host'} has changed since the plan was made: ${added.reason}`;
  if (isDeepStrictEqual(shown.steps, now.steps) && isDeepStrictEqual(shown.devices, now.devices)) return null;
  return 'the host has changed since the plan was made, and other steps are needed now: make a new plan';
}

/** Loaded on first use. */
const systemLock: ChangeLock = async (change, onWait) => {
  const { hostLock } = await import('../manager/host-lock.ts');
  return await hostLock(journalDirectory())(change, onWait);
};
