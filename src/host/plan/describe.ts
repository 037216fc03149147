import { sentenceList } from '../text.ts';
import type { Outcome, UndoneChange, Waiting } from './apply.ts';
import { conditionText } from './condition-text.ts';
import { actionText } from './errors.ts';
import type { Check, Plan, PlanDevice, Step } from './plan.ts';
import type { StepState } from './step-states.ts';

/** The plan as lines, for `--dry-run` and the plan dialog. */
export function describePlan(plan: Plan): string[] {
  const lines = [plan.title];
  const section = (title: string, content: readonly string[]): void => {
    if (content.length > 0) lines.push('', title, ...content.map(line => (line === '' ? '' : `  ${line}`)));
  };
  section('Devices', describeDevices(plan.devices));
  section('Checks', describeChecks(plan.checks));
  section(plan.steps.length === 0 ? 'Nothing to do' : 'Steps', plan.steps.flatMap(describeStep));
  section('Notes', plan.notes);
  if (plan.steps.length === 0 && plan.notes.length === 0) lines.push('', 'Nothing to do');
  return lines;
}

const roles: Readonly<Record<PlanDevice['role'], string>> = {
  asked: '',
  group: 'same IOMMU group',
  left: 'same IOMMU group, stays',
  bridge: 'bridge, stays',
  'ended-vf': 'VF, removed',
};

/** Address, group, driver now and after, role, name. */
export function describeDevices(devices: readonly PlanDevice[]): string[] {
  const rows = devices.map(device => ({
    address: device.address,
    group: device.iommuGroup === null ? 'no group' : `group ${device.iommuGroup}`,
    driver: driverText(device),
    name: [device.name, roles[device.role]].filter(Boolean).join(' - '),
  }));
  const width = (key: 'address' | 'group' | 'driver'): number =>
    Math.max(0, ...rows.map(row => row[key].length));
  const [address, group, driver] = [width('address'), width('group'), width('driver')];
  return rows.map(
    row =>
      `${row.address.padEnd(address)}  ${row.group.padEnd(group)}  ${row.driver.padEnd(driver)}  ${row.name}`,
  );
}

function driverText({ driver, becomes, role }: PlanDevice): string {
  const now = driver ?? 'no driver';
  if (role === 'ended-vf') return `${now} -> gone`;
  if (becomes === undefined) return `${now} -> host driver`;
  const after = becomes ?? 'no driver';
  return now === after ? now : `${now} -> ${after}`;
}

const levels: readonly Check['level'][] = ['block', 'warn', 'ok'];

/** Blocks and warnings first. */
export function describeChecks(checks: readonly Check[]): string[] {
  const sorted = levels.flatMap(level => checks.filter(check => check.level === level));
  return sorted.map(describeCheck);
}

export function describeCheck(check: Check): string {
  const level = check.level === 'block' ? 'BLOCK' : check.level;
  const subject = check.subject === null ? '' : `${check.subject}: `;
  return `${level.padEnd(5)}  ${check.code.padEnd(8)}  ${subject}${check.reason}`;
}

/** A step with its reason, risk, result and undo. */
export function describeStep(step: Step, index: number): string[] {
  const number = `${index + 1}.`.padEnd(4);
  const detail = (label: string, text: string): string => `    ${`${label}:`.padEnd(7)}${text}`;
  const content = fileLines(step).map(line => `      ${line}`);
  const undo = step.undo.changes.map(change => actionText(change.action));
  return [
    `${number}${actionText(step.action)}`,
    ...content,
    detail('why', step.reason),
    ...(step.risk === null ? [] : [detail('risk', step.risk)]),
    ...(step.expect.length === 0 ? [] : [detail('then', step.expect.map(conditionText).join('; '))]),
    ...undo.map((text, at) => (at === 0 ? detail('undo', text) : `           ${text}`)),
  ];
}

/** A new file in full; for a replaced file, the changed lines. */
function fileLines({ action, undo }: Step): string[] {
  if (action.kind !== 'file') return [];
  const after = action.content.trimEnd().split('\n');
  const before = undo.changes
    .map(change => change.action)
    .find(each => each.kind === 'file' && each.path === action.path);
  if (before?.kind !== 'file') return after.map(line => `| ${line}`);
  const lines = before.content.trimEnd().split('\n');
  return [
    ...lines.filter(line => !after.includes(line)).map(line => `- ${line}`),
    ...after.filter(line => !lines.includes(line)).map(line => `+ ${line}`),
  ];
}

/** The outcome of a plan as the last lines of its output. */
export function describeOutcome(plan: Plan, outcome: Outcome): string[] {
  switch (outcome.state) {
    case 'refused':
      return [`nothing was changed: ${outcome.problem}`];
    case 'applied':
      if (plan.steps.length === 0) return [...plan.notes];
      return [`done: ${plan.title}`, ...(outcome.problem === null ? [] : [`warning: ${outcome.problem}`])];
    case 'hanging':
      return [
        `${outcome.problem}`,
        'this step may or may not have taken effect; the earlier steps were kept',
        'once the kernel completes it, or after a reboot, undo the plan with vring undo',
      ];
    case 'failed':
      return [`${outcome.problem}`, ...describeUndone(outcome.rollback, 'the earlier steps were undone')];
  }
}

/** @param success the line to print if nothing failed */
export function describeUndone(changes: readonly UndoneChange[], success: string): string[] {
  const failed = changes.filter(change => change.state === 'failed');
  const kept = changes
    .filter(change => change.state === 'kept')
    .map(change => `kept: ${change.text}: ${change.reason}`);
  if (failed.length === 0) return [changes.length > 0 ? success : 'nothing had to be undone', ...kept];
  return [
    'some changes could not be undone, so the plan is still partly applied:',
    ...failed.map(change => `  ${change.text}: ${change.reason}`),
    ...kept,
    'retry with vring undo',
  ];
}

/** `step 2 is slow: 12 s of at most 60 s; the device is open in python3 (pid 5555)`. */
export function describeWaiting({ step, seconds, limitSeconds, users }: Waiting): string {
  const open = users.length === 0 ? '' : `; the device is open in ${sentenceList(users)}`;
  return `step ${step + 1} is slow: ${seconds} s of at most ${limitSeconds} s${open}`;
}

/** A step's mark in a progress list. */
export function stepMark(state: StepState): string {
  const marks: Readonly<Record<StepState, string>> = {
    pending: ' ',
    running: '>',
    done: 'x',
    unneeded: '-',
    failed: '!',
    hanging: '?',
  };
  return marks[state];
}
