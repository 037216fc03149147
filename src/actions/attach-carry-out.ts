import { type PassthroughEntry, withPassthrough } from '../definitions/change/passthrough.ts';
import { carryOut } from '../definitions/create/carry-out.ts';
import type { StepState } from '../host/plan/step-states.ts';
import { sentenceList } from '../host/text.ts';
import { type AttachSubject, attachedAddresses, attachSteps } from '../store/attach-subject.ts';
import type { PlanPhase } from '../store/plan-layer.ts';
import type { Ui } from './ui.ts';

type Done = Extract<PlanPhase, { kind: 'done' }>;

/**
 * Attaches devices as shown: the definition comes first, so that it is as intended even if the start fails.
 * @param progress called with the state of each of `attachSteps`
 */
export async function attach(
  ui: Ui,
  subject: AttachSubject,
  progress: (steps: readonly StepState[]) => void,
): Promise<Done> {
  const { target, options } = subject;
  const { name } = target;
  const addresses = attachedAddresses(subject);
  const states: StepState[] = attachSteps(subject).map(() => 'pending');
  const done: string[] = [];
  /** Runs one of the steps. @returns whether to go on */
  const step = async (index: number, act: () => Promise<void>): Promise<boolean> => {
    states[index] = 'running';
    progress([...states]);
    try {
      await act();
      states[index] = 'done';
      return true;
    } catch (error) {
      states[index] = 'failed';
      done.push((error as Error).message);
      return false;
    }
  };

  if (target.kind === 'running') await plugAll(ui, subject, step, done);
  else {
    const entries = passthroughEntries(ui, subject);
    const defined = await step(0, async () => {
      if (target.kind === 'new') await create(ui, target.plan, entries);
      else {
        const text = withPassthrough(target.text, `${name}.yaml`, name, entries);
        await ui.engine.define(name, text, { replace: true });
      }
    });
    if (defined) done.push(`${name} takes ${sentenceList(addresses)} at each start`);
    if (defined && options.start && (await step(1, () => ui.engine.restart(name))))
      done.splice(0, done.length, `${name} runs with ${sentenceList(addresses)}`);
  }
  const good = !states.includes('failed');
  if (good && target.kind !== 'running' && !options.start) done.push('S starts it');
  return { kind: 'done', good, steps: states, text: done };
}

/** One by one: those before the first failure stay attached. */
async function plugAll(
  ui: Ui,
  subject: AttachSubject,
  step: (index: number, act: () => Promise<void>) => Promise<boolean>,
  done: string[],
): Promise<void> {
  const { target, options } = subject;
  for (const [index, { keep: _, ...entry }] of passthroughEntries(ui, subject).entries()) {
    const good = await step(index, async () => {
      const { persist } = options;
      const attached = await ui.engine.attach(
        target.name,
        { type: 'vfio-pci', ...entry },
        { persist, running: true },
      );
      const { name, address, noticed } = attached;
      const place = address === null ? '' : `, at ${address}`;
      const when = noticed ? '' : '; its guest finds it on its next scan';
      done.push(`${entry.host} is ${name} of ${target.name}${place}${when}`);
    });
    if (!good) return;
  }
}

async function create(
  ui: Ui,
  plan: Extract<AttachSubject['target'], { kind: 'new' }>['plan'],
  entries: readonly PassthroughEntry[],
): Promise<void> {
  const { name } = plan.definition;
  const text = withPassthrough(plan.text, `${name}.yaml`, name, entries);
  await carryOut(
    { ...plan, text },
    {
      save: (name, text) => ui.engine.define(name, text, { replace: false }),
      progress: () => {},
      signal: new AbortController().signal,
    },
  );
  ui.newVm = {};
  const state = ui.store.getState();
  ui.store.setState({ layers: state.layers.filter(layer => layer.kind !== 'form') });
  state.selectVm(name);
}

/**
 * The definition's entry for each device: with its ID, so that another one at the same address is not mistaken for it.
 */
function passthroughEntries(ui: Ui, { assessment, options, macs }: AttachSubject): PassthroughEntry[] {
  const functions = ui.store.getState().host?.functions;
  return assessment.devices.map(({ address }) => {
    const fn = functions?.get(address);
    return {
      host: address,
      ...(fn !== undefined && { id: `${fn.vendor}:${fn.device}` }),
      ...(!options.giveBack && { keep: true }),
      ...(options.iommufd !== null && { iommufd: options.iommufd }),
      ...(options.mac && macs[address] !== undefined && { mac: macs[address] }),
      ...(options.noIommu && { 'unsafe-no-iommu': true }),
    } as PassthroughEntry;
  });
}
