import { iommuParameters } from '../host/doctor/iommu.ts';
import { readCpu } from '../host/doctor/processor.ts';
import type { Outcome, Progress } from '../host/plan/apply.ts';
import { planBind } from '../host/plan/bind.ts';
import { Journal, type JournalEntry } from '../host/plan/journal.ts';
import { planKernelParameters } from '../host/plan/kernel-parameters.ts';
import type { Plan } from '../host/plan/plan.ts';
import { runPlan, type UndoOutcome, undoEntry } from '../host/plan/run.ts';
import { readSurvey } from '../host/plan/survey.ts';
import { planUnbind } from '../host/plan/unbind.ts';
import { planVfAttributes } from '../host/plan/vf-attributes.ts';
import { planVfCount } from '../host/plan/vf-count.ts';
import { type HostWriter, systemWriter } from '../host/plan/writer.ts';
import type { HostRoot } from '../host/root.ts';
import type { PlanRequest } from './requests.ts';

export type PlansOptions = { readonly writer?: HostWriter; readonly journal?: Journal };

/** Makes, applies and undoes plans for the UI. */
export class HostPlans {
  readonly #root: HostRoot;
  readonly #journal: Journal;
  readonly #writer: () => HostWriter;

  /** Changes the running system through its own files, but for tests. */
  constructor(root: HostRoot, { writer, journal = new Journal() }: PlansOptions = {}) {
    this.#root = root;
    this.#journal = journal;
    this.#writer = () => writer ?? systemWriter(root);
  }

  /** @throws why there is no plan for it, in a sentence */
  async make(request: PlanRequest): Promise<Plan> {
    if (request.kind === 'iommu')
      return planKernelParameters(this.#root, iommuParameters(readCpu(this.#root)));
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

  apply(plan: Plan, progress: Progress): Promise<Outcome> {
    return runPlan(this.#writer(), this.#journal, plan, progress);
  }

  /** What `undo` would undo. */
  last(): Promise<JournalEntry | null> {
    return this.#journal.latest();
  }

  /** @throws when the plan is not the last one any more */
  async undo(id: string): Promise<UndoOutcome> {
    const entry = await this.last();
    if (entry?.id !== id) throw new Error('another plan was applied or undone in the meantime: look again');
    return await undoEntry(this.#writer(), this.#journal, entry);
  }
}
