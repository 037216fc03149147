import { setImmediate as turn } from 'node:timers/promises';
import { assess } from '../../host/passthrough/assess.ts';
import type {
  Assessment,
  Claim,
  PassthroughRequest,
  PassthroughVm,
  Reason,
} from '../../host/passthrough/assessment.ts';
import { applyPlan, type Outcome, undoSteps } from '../../host/plan/apply.ts';
import { whereabouts } from '../../host/plan/give-back.ts';
import type { Plan, Step } from '../../host/plan/plan.ts';
import { stepsToUndo } from '../../host/plan/step-states.ts';
import { functionAt, type HostSurvey, readSurvey } from '../../host/plan/survey.ts';
import { planVfAttributes } from '../../host/plan/vf-attributes.ts';
import type { HostWriter } from '../../host/plan/writer.ts';
import { currentBootId } from '../../host/process-identity.ts';
import { isMoved, type TakenDevice } from '../../host/vfio/taken.ts';
import { ListedError } from '../../text/listed-error.ts';
import { closeHostDevices, type OpenedHostDevice } from '../machines/machine.ts';
import { giveBack } from './give-back.ts';
import type { HeldFiles } from './open.ts';
import type { LendingTools } from './tools.ts';
import type { WantedHostDevice } from './wanted.ts';

export type TakeRequest = {
  readonly vm: PassthroughVm;
  readonly wanted: readonly WantedHostDevice[];
  /** What the VM has open already, while it runs. */
  readonly held: HeldFiles;
  /** The claims of other VMs. */
  readonly claims: readonly Claim[];
  /** Records of devices that were taken earlier and never given back: they hold the devices' state before that. */
  readonly left: readonly TakenDevice[];
  readonly signal: AbortSignal;
};

export type Taken = {
  readonly records: readonly TakenDevice[];
  readonly opened: readonly OpenedHostDevice[];
};

/**
 * Takes functions from the host for a VM and opens them: each is recorded, then set up and bound to a VFIO driver. The
 * caller holds the host lock. After a failure the host is restored.
 * @throws with everything that keeps the VM from having them
 */
export async function take(tools: LendingTools, request: TakeRequest): Promise<Taken> {
  const { vm, wanted, held, signal } = request;
  const survey = await readSurvey(tools.root);
  const absent = wanted.filter(({ address }) => !survey.byAddress.has(address));
  if (absent.length > 0) throw refusal(vm.name, absent.map(absentText));
  const assessment = assess(survey, assessmentOf(request));
  await turn();
  const settings = wanted.map(each => planOfSettings(survey, each));
  const problems = [...blocksOf(assessment), ...settings.flatMap(({ problem }) => problem ?? [])];
  const plans = [...settings.flatMap(({ plan }) => plan ?? []), assessment.plan].filter(
    ({ steps }) => steps.length > 0,
  );
  const writer = plans.length === 0 ? null : writerOf(tools, plans, problems);
  if (problems.length > 0) {
    writer?.close();
    throw refusal(vm.name, problems);
  }
  signal.throwIfAborted();
  const records = recordsOf(survey, request, assessment, settings);
  const done: Step[] = [];
  let opened: readonly OpenedHostDevice[] = [];
  try {
    for (const record of records) tools.records.write(record);
    for (const plan of plans) done.push(...(await applied(writer!, plan, signal)));
    signal.throwIfAborted();
    opened = await tools.open(wanted, held);
    const kept = records.map(record => withOpened(record, opened));
    for (const record of kept) tools.records.write(record);
    noteTaken(tools, request, records);
    return { records: kept, opened };
  } catch (error) {
    closeHostDevices(opened);
    // Includes what the records do not cover: modules that were loaded.
    if (writer !== null) await undoSteps(writer, done);
    const outstanding = await giveBack({ ...tools, note: quietly(tools) }, records);
    for (const { taken, reason } of outstanding)
      tools.note('error', `could not give ${taken.address} back: ${reason}`, vm.name);
    throw error;
  } finally {
    writer?.close();
  }
}

function assessmentOf({ vm, wanted, claims }: TakeRequest): PassthroughRequest {
  return {
    addresses: wanted.map(({ address }) => address),
    vm,
    claims,
    options: Object.fromEntries(
      wanted.map(({ address, id, romfile, iommufd, vfToken, unsafeNoIommu, settings }) => [
        address,
        {
          unsafeNoIommu,
          ...settings,
          ...(iommufd !== undefined && { iommufd }),
          ...(vfToken !== undefined && { vfToken }),
          ...(id !== undefined && { id }),
          ...(romfile !== undefined && { romfile }),
        },
      ]),
    ),
  };
}

function absentText({ address, device }: WantedHostDevice): string {
  return `${device} is ${address}, and this host has no such PCI function: vring pci list shows all; a VF exists only while its physical function has VFs enabled (vring sriov list)`;
}

/** Everything that blocks it. */
function blocksOf({ devices, reasons }: Assessment): string[] {
  const all = [...devices.flatMap(device => device.reasons), ...reasons];
  return [...new Set(all.filter(({ level }) => level === 'block').map(reasonText))];
}

function reasonText({ subject, reason, repair }: Reason): string {
  const about = subject === null ? reason : `${subject}: ${reason}`;
  return repair.length === 0 ? about : `${about} (${repair.join('; ')})`;
}

function refusal(vm: string, problems: readonly string[]): ListedError {
  return new ListedError(`${vm} cannot get its host devices`, problems);
}

type SettingsPlan = {
  readonly address: string;
  readonly plan: Plan | null;
  readonly vf: TakenDevice['vf'];
  readonly problem: string | null;
};

/** Sets up a VF with the settings requested for the VM. */
function planOfSettings(survey: HostSurvey, { address, settings }: WantedHostDevice): SettingsPlan {
  const none = { address, plan: null, vf: null, problem: null };
  const names = Object.keys(settings) as (keyof Settings)[];
  if (names.length === 0) return none;
  const { physicalFunction } = functionAt(survey, address);
  const vfs = physicalFunction === null ? [] : (survey.physicalFunctions.get(physicalFunction)?.vfs ?? []);
  const vf = vfs.find(each => each.address === address);
  if (physicalFunction === null || vf === undefined) {
    const problem = `${address}: ${names.join(', ')} can only be set for VFs, and it is not one`;
    return { ...none, problem };
  }
  const { index, attributes } = vf;
  try {
    const plan = planVfAttributes(survey, { address: physicalFunction, index, settings });
    const changed = names.filter(name => attributes?.[name] !== settings[name]);
    // A setting that the driver does not report cannot be restored.
    const reported = changed.filter(name => attributes?.[name] != null);
    return {
      ...none,
      plan,
      vf: {
        physicalFunction,
        index,
        before: pick(attributes as Settings, reported),
        set: pick(settings as Settings, reported),
      },
    };
  } catch (error) {
    return { ...none, problem: (error as Error).message };
  }
}

type Settings = NonNullable<TakenDevice['vf']>['before'];

function pick(settings: Settings, names: readonly (keyof Settings)[]): Settings {
  return Object.fromEntries(names.map(name => [name, settings[name]])) as Settings;
}

/** Null if this process may not change the host; the assessment says what to do as root. */
function writerOf(tools: LendingTools, plans: readonly Plan[], problems: string[]): HostWriter | null {
  try {
    return tools.writer();
  } catch (error) {
    if (problems.length === 0) problems.push(`${plans[0]!.title}: ${(error as Error).message}`);
    return null;
  }
}

/** Records for each device requested, and for the members of its group that are bound along with it. */
function recordsOf(
  survey: HostSurvey,
  { vm, wanted, left }: TakeRequest,
  { plan }: Assessment,
  settings: readonly SettingsPlan[],
): TakenDevice[] {
  const keep = wanted.some(each => each.keep);
  const asked = new Map(wanted.map(each => [each.address, each]));
  const moving = new Map(
    plan.devices
      .filter(({ driver, becomes }) => becomes != null && becomes !== driver)
      .map(({ address, becomes }) => [address, becomes!]),
  );
  const addresses = [...new Set([...asked.keys(), ...moving.keys()])];
  return addresses.map(address => {
    const fn = functionAt(survey, address);
    const own = asked.get(address);
    const earlier = left.find(each => each.address === address && whereabouts(survey.root, each) === 'here');
    const vf = settings.find(each => each.address === address)?.vf ?? null;
    return {
      version: 1,
      address,
      id: `${fn.vendor}:${fn.device}`,
      group: fn.iommuGroup,
      bootId: currentBootId(),
      vm: vm.name,
      device: own?.device ?? null,
      api: null,
      keep: own?.keep ?? keep,
      driver: moving.get(address) ?? fn.driver ?? 'vfio-pci',
      // The device may never have been given back.
      before: earlier?.before ?? { driver: fn.driver, override: fn.driverOverride ?? '' },
      vf:
        earlier?.vf && vf
          ? { ...vf, before: { ...vf.before, ...earlier.vf.before } }
          : (vf ?? earlier?.vf ?? null),
    };
  });
}

/** @returns the completed steps. @throws why it was not applied; the host is restored */
async function applied(writer: HostWriter, plan: Plan, signal: AbortSignal): Promise<Step[]> {
  signal.throwIfAborted();
  const outcome = await applyPlan(writer, plan);
  if (outcome.state !== 'applied') throw new Error(`${plan.title}: ${problemText(outcome)}`);
  return stepsToUndo(plan.steps, outcome.steps);
}

function problemText({ problem, rollback }: Outcome): string {
  const kept = rollback.filter(({ state }) => state === 'failed');
  const rest = kept.map(({ text, reason }) => `could not undo "${text}": ${reason}`);
  return [problem ?? 'it was not applied', ...rest].join('; ');
}

function withOpened(record: TakenDevice, opened: readonly OpenedHostDevice[]): TakenDevice {
  const own = opened.find(({ address }) => address === record.address);
  if (own === undefined) return record;
  return { ...record, api: own.api, ...(own.noIommu && { noIommu: true }) };
}

function noteTaken({ note }: LendingTools, { vm, left }: TakeRequest, records: readonly TakenDevice[]): void {
  for (const record of records) {
    const { address, before, device, group, vf } = record;
    if (isMoved(record) && !left.some(each => each.address === address)) {
      const along = device === null ? `, which is in IOMMU group ${group} too` : '';
      const from = before.driver === null ? ', which had no driver' : ` from ${before.driver}`;
      note('info', `took ${address}${from}${along}`, vm.name);
    }
    const set = Object.entries(vf?.set ?? {}).map(([name, value]) => `${name} ${value}`);
    if (set.length > 0) note('info', `set ${set.join(', ')} of ${address}`, vm.name);
  }
}

/** For a failed start, only the errors matter. */
function quietly({ note }: LendingTools): LendingTools['note'] {
  return (level, text, vm) => {
    if (level !== 'info') note(level, text, vm);
  };
}
