import { passthroughVm } from '../definitions/passthrough-request.ts';
import { readDefinition } from '../definitions/read.ts';
import { macAddress } from '../engine/networks/mac-address.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import type { Assessment, Claim, PassthroughRequest, PassthroughVm } from '../host/passthrough/assessment.ts';
import {
  type AttachOptions,
  type AttachSubject,
  type AttachTarget,
  groupOthers,
} from '../store/attach-subject.ts';
import type { PlanLayer } from '../store/plan-layer.ts';
import { own } from '../text/own.ts';
import { textEdit } from '../text/text-edit.ts';
import { changePlan, openPlan } from './host-change.ts';
import type { Ui } from './ui.ts';

const DEFAULTS: AttachOptions = {
  wholeGroup: false,
  giveBack: true,
  iommufd: null,
  persist: false,
  start: true,
  mac: true,
  noIommu: false,
};

/** Shows the whole plan for attaching devices to a VM; nothing is changed before the user has confirmed it. */
export async function askToAttach(
  ui: Ui,
  target: AttachTarget,
  asked: readonly string[],
  wholeGroup = false,
): Promise<void> {
  const before = ui.store.getState().layers;
  ui.notify('info', 'planning');
  const subject = await assessed(ui, target, asked, { ...DEFAULTS, wholeGroup });
  ui.clearNotice();
  // Skip it if the user has gone on to something else.
  if (ui.store.getState().layers === before) openPlan(ui, subject, forbidden(ui, subject));
}

/** An existing VM as a target; its definition is read if that will change. */
export async function targetOf(ui: Ui, vm: VmInfo): Promise<AttachTarget> {
  const common = { name: vm.name, memory: vm.memoryBytes, vcpus: vm.vcpus };
  return isAlive(vm)
    ? { ...common, kind: 'running' }
    : { ...common, kind: 'off', text: await ui.engine.definition(vm.id) };
}

/** Options that change what the host has to do. */
const NEEDS_ASSESSMENT: readonly (keyof AttachOptions)[] = ['wholeGroup', 'iommufd', 'mac', 'noIommu'];

/** Shows the plan again with another option. */
export async function attachAgain(ui: Ui, layer: PlanLayer, options: AttachOptions): Promise<void> {
  const { subject, ticket } = layer;
  if (subject.kind !== 'attach') return;
  // It is a new plan, so an earlier confirmation does not count.
  const anew = { focus: 'cancel', typed: textEdit() } as const;
  if (NEEDS_ASSESSMENT.every(option => options[option] === subject.options[option])) {
    changePlan(ui, ticket, { ...anew, subject: { ...subject, options } });
    return;
  }
  changePlan(ui, ticket, { subject: { ...subject, options }, phase: { kind: 'planning' } });
  try {
    const next = await assessed(ui, subject.target, subject.asked, options);
    changePlan(ui, ticket, {
      ...anew,
      subject: next,
      phase: { kind: 'review' },
      forbidden: forbidden(ui, next),
      offset: 0,
    });
  } catch (error) {
    changePlan(ui, ticket, { subject, phase: { kind: 'review' } });
    ui.notify('error', (error as Error).message);
  }
}

async function assessed(
  ui: Ui,
  target: AttachTarget,
  asked: readonly string[],
  options: AttachOptions,
): Promise<AttachSubject> {
  const { client } = ui.host.connection();
  const request = requestOf(ui, target, asked, options);
  const alone = await client.call('assess', request);
  const subject: AttachSubject = { kind: 'attach', target, asked, options, assessment: alone, macs: {} };
  const others = options.wholeGroup ? groupOthers(subject) : [];
  const addresses = [...asked, ...others];
  const whole = others.length === 0 ? alone : await client.call('assess', { ...request, addresses });
  const macs = missingMacs(target, whole);
  if (!options.mac || Object.keys(macs).length === 0) return { ...subject, assessment: whole, macs };
  const given = Object.fromEntries(Object.entries(macs).map(([address, mac]) => [address, { mac }]));
  const assessment = await client.call('assess', { ...request, addresses, options: given });
  return { ...subject, assessment, macs };
}

/** New MAC addresses for VFs without one. They go into the definition, so a running VM gets none. */
function missingMacs({ kind, name }: AttachTarget, { devices }: Assessment): Record<string, string> {
  if (kind === 'running') return {};
  const without = devices.filter(({ reasons }) =>
    reasons.some(({ code, level }) => code === 'mac' && level === 'warn'),
  );
  return Object.fromEntries(without.map(({ address }) => [address, macAddress(`${name}/${address}`, 0)]));
}

function requestOf(
  ui: Ui,
  target: AttachTarget,
  asked: readonly string[],
  { iommufd, noIommu }: AttachOptions,
): PassthroughRequest {
  const { infos } = ui.store.getState();
  const claims = Object.values(infos).flatMap((vm): Claim[] =>
    vm.name === target.name
      ? []
      : (vm.hostDevices ?? []).map(({ address, device }) => ({
          ...{ address, device, vm: vm.name },
          running: isAlive(vm),
        })),
  );
  return {
    addresses: asked,
    vm: vmOf(ui, target),
    claims,
    ...(iommufd !== null && { iommufd }),
    ...(noIommu && { unsafeNoIommu: true }),
  };
}

/** The VM as the assessment needs it: its machine's settings if it runs, else its definition's. */
function vmOf(ui: Ui, target: AttachTarget): PassthroughVm {
  const { name, memory, vcpus } = target;
  switch (target.kind) {
    case 'new':
      return passthroughVm(target.plan.definition, 'stopped');
    case 'off':
      return passthroughVm(readDefinition(target.text, { file: `${name}.yaml`, name }), 'stopped');
    case 'running': {
      const pinning = own(ui.store.getState().infos, name)?.topology?.pinning ?? [];
      const hostCpus = pinning.length === 0 ? null : pinning;
      return { name, memoryBytes: memory, vcpus, hostCpus, state: 'running' };
    }
  }
}

/** Why it can only be read. A user who may not change the host may still attach devices that the host has released. */
function forbidden(ui: Ui, { assessment }: AttachSubject): string | null {
  const { unchangeable, recording } = ui.host.source;
  if (ui.readOnly !== null) return ui.readOnly;
  return recording !== null || assessment.plan.steps.length > 0 ? unchangeable : null;
}
