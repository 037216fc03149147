import {
  type Desired,
  desiredPath,
  formatDesired,
  hostService,
  hostServiceLink,
} from '../../boot/desired.ts';
import { readEarlyModules } from '../../boot/early-modules.ts';
import { isOstree } from '../../boot/loaders/ostree.ts';
import { moduleName } from '../../boot/modprobe.ts';
import { findProgram } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { fileSteps } from '../file-step.ts';
import { type Condition, noUndo, type Step, undoBy } from '../plan.ts';
import type { HostSurvey } from '../survey.ts';
import { initramfsCommand } from './initramfs.ts';
import { type IdClaim, idClaims, modprobePath, modprobeText } from './modprobe-file.ts';
import { unitPath, unitText } from './systemd-unit.ts';
import { udevPath, udevText } from './udev-rules.ts';

export type BootSteps = { readonly steps: readonly Step[]; readonly notes: readonly string[] };

/**
 * Steps that store the desired state of the host's devices for each boot, and what applies it: modprobe.d and the
 * initramfs for devices that ids identify, and for all devices vring's service (udev rules without systemd), which also
 * checks that the device at an address is still the same one.
 */
export function bootSteps(survey: HostSurvey, desired: Desired): BootSteps {
  const { root } = survey;
  const empty = Object.keys(desired.devices).length + Object.keys(desired.sriov).length === 0;
  const stored = fileSteps(root, {
    path: desiredPath,
    content: empty ? null : formatDesired(desired),
    reason: empty
      ? 'nothing remains stored for the next boot'
      : 'stored for every boot, with the identity of the devices',
  });
  const claims = idClaims(survey, desired);
  const modprobe = fileSteps(root, {
    path: modprobePath,
    content: modprobeText(root, desired, claims),
    reason: 'devices with unique IDs are claimed before host drivers load',
  });
  const systemctl = findProgram(root, 'systemctl');
  const service = systemctl === null ? udevSteps(survey, desired) : serviceSteps(root, systemctl, empty);
  const initramfs = modprobe.length > 0 ? initramfsSteps(root) : { steps: [], notes: [] };
  return {
    steps: [...stored, ...modprobe, ...service, ...initramfs.steps],
    notes: [...initramfs.notes, ...(modprobe.length > 0 ? earlyNotes(root, claims) : [])],
  };
}

/** mkinitcpio's initramfs loads the graphics drivers that it contains before vfio-pci, which it lacks unless listed. */
function earlyNotes(root: HostRoot, claims: readonly IdClaim[]): string[] {
  const { kmsHook, modules } = readEarlyModules(root);
  const late = claims.filter(({ driver, fn }) => {
    const listed = modules.some(each => each.module === moduleName(driver) && each.when === 'first');
    return kmsHook && fn.class.startsWith('03') && !listed;
  });
  return late.map(
    ({ driver, fn }) =>
      `the kms hook of mkinitcpio loads the driver of ${fn.address} in the initramfs: add ${moduleName(driver)} to MODULES in /etc/mkinitcpio.conf before the next boot`,
  );
}

/** The current stored state, as a plan's assumption. */
export function asStored(root: HostRoot): Condition {
  return { kind: 'file', path: desiredPath, content: root.text(desiredPath, 16 << 20) };
}

function serviceSteps(root: HostRoot, systemctl: string, empty: boolean): Step[] {
  const file = fileSteps(root, {
    path: unitPath,
    content: empty ? null : unitText(),
    reason: empty ? 'it is no longer needed' : 'runs "vring host restore" at every boot',
  });
  const enabled = root.exists(hostServiceLink);
  if (enabled === !empty) return file;
  const change = (enable: boolean) => ({
    action: {
      kind: 'run',
      argv: [systemctl, enable ? 'enable' : 'disable', hostService],
      seconds: 60,
    } as const,
    expect: [{ kind: 'exists', path: hostServiceLink, exists: enable } as const],
    within: 2,
  });
  const step: Step = {
    ...change(!empty),
    reason: empty ? 'no longer needed at boot' : 'runs from the next boot',
    risk: null,
    undo: undoBy(change(empty)),
  };
  // A unit's file must exist when it is enabled or disabled.
  return empty ? [step, ...file] : [...file, step];
}

function udevSteps(survey: HostSurvey, desired: Desired): Step[] {
  return fileSteps(survey.root, {
    path: udevPath,
    content: udevText(survey, desired),
    reason: 'without systemd, udev applies the stored state at every boot',
  });
}

/** Host drivers may be loaded from the initramfs, which has its own copy of modprobe.d. */
function initramfsSteps(root: HostRoot): BootSteps {
  if (isOstree(root)) {
    const note =
      'the initramfs of an OSTree host is part of its image: if it contains a driver for one of the devices, run rpm-ostree initramfs --enable';
    return { steps: [], notes: [note] };
  }
  const command = initramfsCommand(root);
  if (command === null) {
    const note =
      'found no initramfs tool: if the initramfs contains a driver for one of the devices, rebuild it manually';
    return { steps: [], notes: [note] };
  }
  const change = { action: { kind: 'run', argv: command, seconds: 900 }, expect: [], within: 0 } as const;
  const step: Step = {
    ...change,
    reason: 'the initramfs contains a copy of modprobe.d; this takes a while',
    risk: null,
    undo: { ...noUndo, changes: [{ ...change, when: [] }], last: true },
  };
  return { steps: [step], notes: [] };
}
