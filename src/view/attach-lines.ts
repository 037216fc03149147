import type { Assessment, Reason } from '../host/passthrough/assessment.ts';
import { unique } from '../host/passthrough/reason.ts';
import { describeDevices, describeStep } from '../host/plan/describe.ts';
import { sentenceList } from '../host/text.ts';
import { type AttachSubject, type AttachTarget, attachSteps } from '../store/attach-subject.ts';
import { bytes } from '../text/units.ts';
import type { Token } from '../theme/tokens.ts';
import { type Fact, fact, factLines } from './facts.ts';
import { type PlanLine, wrappedLines } from './plan-text.ts';

export function attachTitle({ target, assessment }: AttachSubject): string {
  return `Attach ${sentenceList(assessment.devices.map(({ address }) => address))} to ${target.name}`;
}

/** The whole way from the host's state to the guest's: first what decides, then each step. */
export function attachLines(subject: AttachSubject, columns: number): PlanLine[] {
  const { assessment } = subject;
  const findings = allReasons(assessment);
  const problems = findings.filter(({ level }) => level !== 'ok');
  const good = findings.filter(({ level }) => level === 'ok');
  return [
    ...(problems.length === 0 ? [] : section('Findings', described(problems, columns))),
    ...section('Devices', wrappedLines(describeDevices(assessment.plan.devices).map(indented), columns)),
    ...section('VM', factsOf(subject, columns)),
    ...section('Steps', wrappedLines(stepLines(subject), columns)),
    ...(good.length === 0 ? [] : section('Fine', described(good, columns))),
  ];
}

function section(title: string, lines: readonly PlanLine[]): PlanLine[] {
  return [{ text: '', token: 'text.primary' }, { text: title, token: 'text.heading' }, ...lines];
}

const indented = (line: string) => `  ${line}`;

const LEVELS: readonly Reason['level'][] = ['block', 'warn', 'ok'];

/** The reasons of the host, the VM and every device; blocks first. */
export function allReasons({ reasons, devices }: Assessment): Reason[] {
  const once = unique([...reasons, ...devices.flatMap(device => device.reasons)]);
  return LEVELS.flatMap(level => once.filter(reason => reason.level === level));
}

function described(reasons: readonly Reason[], columns: number): PlanLine[] {
  const codes = Math.max(...reasons.map(({ code }) => code.length));
  const lines = reasons.flatMap(({ level, code, subject, reason, repair }) => [
    `  ${(level === 'block' ? 'BLOCK' : level).padEnd(5)}  ${code.padEnd(codes)}  ${subject === null ? '' : `${subject}: `}${reason}`,
    ...repair.map(text => `         ${'fix:'.padEnd(codes)}  ${text}`),
  ]);
  return wrappedLines(lines, columns);
}

/** The VM, what it loses, and what happens to the devices. */
function factsOf(subject: AttachSubject, columns: number): PlanLine[] {
  const { target, options, assessment } = subject;
  const losses = [...Map.groupBy(assessment.losses, ({ why }) => why)].map(
    ([why, all]) => `${all.map(({ what }) => what).join(', ')}: ${why}`,
  );
  const facts: Fact[] = [
    fact('State', targetText(target)),
    ...(assessment.unsafe
      ? [fact('UNSAFE', 'no IOMMU: the guest can read and write all host memory', 'status.error')]
      : []),
    fact('Opened by', openedBy(assessment)),
    ...memoryFacts(assessment),
    fact('On stop', onStop(subject)),
    ...(losses.length === 0 ? [] : [{ name: 'It loses', texts: losses, token: 'status.warning' as Token }]),
    ...(target.kind === 'running' && !options.persist
      ? [fact('Definition', 'unchanged: the VM will start without the device next time')]
      : []),
  ];
  return factLines(facts, columns - 2).map(({ name, text, token }) => ({ text: `  ${name} ${text}`, token }));
}

function targetText({ kind, vcpus, memory }: AttachTarget): string {
  const size = [
    ...(vcpus === 0 ? [] : [`${vcpus} vCPU${vcpus === 1 ? '' : 's'}`]),
    ...(memory === 0 ? [] : [bytes(memory)]),
  ];
  const state = { running: 'running', off: 'off', new: 'to be created' }[kind];
  return [state, ...size].join(', ');
}

function openedBy({ api, devices }: Assessment): string {
  const groups = [...new Set(devices.flatMap(({ iommuGroup }) => iommuGroup ?? []))];
  if (api === null) return 'nothing: this host offers no VFIO interface';
  if (api === 'iommufd') return 'iommufd, with a device file for each device';
  return groups.length === 0 ? 'a VFIO group' : `VFIO group ${groups.join(', ')}`;
}

/** A device may access any of the guest's RAM, so all of it is pinned. */
function memoryFacts({ memory: { bytes: pinned, limit, available } }: Assessment): Fact[] {
  if (pinned === null) return [];
  const left = available === null ? '' : ` of ${bytes(available)} available`;
  const within = limit === null ? 'no limit for locked memory' : `limit for locked memory: ${bytes(limit)}`;
  const over = limit !== null && limit < pinned;
  return [fact('Pinned', `${bytes(pinned)}${left}; ${within}`, over ? 'status.warning' : undefined)];
}

function onStop({ options, assessment }: AttachSubject): string {
  if (!options.giveBack) return 'the devices stay with vfio-pci, for the next start';
  const backs = assessment.plan.devices.filter(
    ({ driver, becomes }) => becomes !== undefined && driver !== becomes,
  );
  if (backs.length === 0) return 'nothing changes: the devices were bound before, and stay bound';
  return backs.map(({ address, driver }) => `${address} goes back to ${driver ?? 'no driver'}`).join(', ');
}

/** The UI's own steps, then each step that the manager makes on the host. */
function stepLines(subject: AttachSubject): string[] {
  const own = attachSteps(subject).map((text, index) => `  ${`${index + 1}.`.padEnd(4)}${text}`);
  const { steps } = subject.assessment.plan;
  if (steps.length === 0) return [...own, '  The devices are bound to a VFIO driver already.'];
  return [...own, '', '  To take them from the host:', ...steps.flatMap(describeStep).map(indented)];
}
