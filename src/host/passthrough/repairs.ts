import { slotOf } from '../pci/address.ts';
import type { PciFunction } from '../pci/function.ts';
import type { Check } from '../plan/plan.ts';
import { type HostSurvey, hostUse, virtualFunctionsOf, vmHolders } from '../plan/survey.ts';
import { readDeviceUsers } from '../use/device-users.ts';
import { holderText, isOfVring } from '../use/holders.ts';
import type { Reason } from './assessment.ts';

/** A check of the plan, with what to do about it. */
export function withRepair(survey: HostSurvey, check: Check): Reason {
  const { level, code, subject, reason } = check;
  const fn = subject === null ? undefined : survey.byAddress.get(subject);
  const repair = level === 'ok' || fn === undefined ? [] : repairsFor(survey, fn, check);
  return { level, code, subject, reason, repair };
}

function repairsFor(survey: HostSurvey, fn: PciFunction, check: Check): string[] {
  const own = byCode[check.code]?.(survey, fn, check) ?? [];
  if (check.level !== 'block' || !check.forceable || check.code === 'response') return own;
  return [...own, `to take it anyway: vring vfio bind ${fn.address} --group --force`];
}

type Repairs = (survey: HostSurvey, fn: PciFunction, check: Check) => string[];

const byCode: { readonly [code in Check['code']]?: Repairs } = {
  response: (_, fn) => [
    'check its slot and its power',
    `then: echo 1 > /sys/bus/pci/devices/${fn.address}/remove; echo 1 > /sys/bus/pci/rescan`,
  ],
  class: () => ['pass a device behind it or beside it instead: vring pci tree'],
  display: displayRepairs,
  card: (_, fn) => [`pass the whole card: ${slotOf(fn.address)}`],
  storage: storageRepairs,
  network: networkRepairs,
  sriov: (survey, fn) =>
    virtualFunctionsOf(survey, fn).length > 0 ? [`vring sriov set ${fn.address} 0`] : [],
  held: heldRepairs,
  reset: (_, fn) => [`see what resets it: cat /sys/bus/pci/devices/${fn.address}/reset_method`],
};

function displayRepairs(survey: HostSurvey, fn: PciFunction): string[] {
  const use = hostUse(survey, fn).display;
  if (!use?.console) return [];
  const frameBuffers = (survey.root.list('/sys/class/vtconsole') ?? []).filter(name =>
    survey.root.attribute(`/sys/class/vtconsole/${name}/name`)?.includes('frame buffer'),
  );
  return [
    'log in by SSH or a serial port, because this display goes dark',
    ...frameBuffers.map(name => `echo 0 > /sys/class/vtconsole/${name}/bind`),
  ];
}

/** Mount points that a running host cannot do without. */
const OWN_MOUNT = /^mounted on \/(boot(\/efi)?|usr|var|etc)?$/;

function storageRepairs(survey: HostSurvey, fn: PciFunction): string[] {
  const roles = hostUse(survey, fn).disks.flatMap(disk => disk.roles.filter(role => role.active));
  if (roles.some(({ text }) => OWN_MOUNT.test(text))) return ['the host runs from it: pass another disk'];
  return [
    ...new Set(
      roles.map(({ kind, through, text }) => {
        const device = `/dev/${through.at(-1) ?? ''}`;
        const mountPoint = /^mounted on (\/\S*)$/.exec(text)?.[1];
        switch (kind) {
          case 'mount':
            return `umount ${mountPoint ?? device}`;
          case 'swap':
            return `swapoff ${device}`;
          default:
            return `stop what uses ${device}`;
        }
      }),
    ),
  ];
}

function networkRepairs(survey: HostSurvey, fn: PciFunction): string[] {
  return hostUse(survey, fn).interfaces.flatMap(({ name, roles, uppers }) => {
    const kinds = new Set(roles.map(role => role.kind));
    return [
      ...(kinds.has('ssh') ? [`connect through another interface than ${name}, or from the console`] : []),
      ...(kinds.has('default-route') ? [`move the default route from ${name} to another interface`] : []),
      ...uppers.map(upper => `take ${name} out of ${upper}`),
    ];
  });
}

function heldRepairs(survey: HostSurvey, fn: PciFunction): string[] {
  const holders = vmHolders(survey, fn);
  if (holders.length > 0) {
    return holders.map(holder =>
      isOfVring(holder) ? `vring vm stop ${holder.vm}` : `stop ${holderText(holder)}`,
    );
  }
  const users = readDeviceUsers(survey.openFiles, [fn]).byAddress.get(fn.address) ?? [];
  return users.map(({ holder: { pid } }) => `kill ${pid}`);
}
