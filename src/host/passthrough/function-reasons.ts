import { isYes } from '../doctor/processor.ts';
import { classTraits } from '../pci/class.ts';
import { readDetails } from '../pci/details.ts';
import type { PciFunction } from '../pci/function.ts';
import { functionsOfSlot } from '../pci/tree.ts';
import type { HostSurvey } from '../plan/survey.ts';
import { sentenceList } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { isVfioDriver } from '../vfio/read.ts';
import type { PassthroughRequest, Reason } from './assessment.ts';
import { graphicsReasons } from './graphics.ts';
import { block, ok, warn } from './reason.ts';

/** Its kind of function, and what that requires. */
export function functionReasons(survey: HostSurvey, fn: PciFunction, request: PassthroughRequest): Reason[] {
  return [
    ...idReasons(survey, fn, request),
    ...denylistReasons(survey, fn),
    ...virtualFunctionReasons(survey, fn, request),
    ...audioReasons(survey, fn, request),
    ...romReasons(survey, fn, request),
    ...graphicsReasons(fn, request),
  ];
}

function idReasons(survey: HostSurvey, fn: PciFunction, { options }: PassthroughRequest): Reason[] {
  const expected = options?.[fn.address]?.id;
  const id = `${fn.vendor}:${fn.device}`;
  if (expected === undefined) return [];
  if (expected === id) return [ok('id', fn.address, `it is the expected ${id}`)];
  const reason = `${id} is at this address, not ${expected} as the definition expects: addresses change as cards are added`;
  return [block('id', fn.address, reason, ...whereIs(survey, expected))];
}

/** An address where there is no function. */
export function absentReason(survey: HostSurvey, address: string, { options }: PassthroughRequest): Reason {
  const id = options?.[address]?.id;
  const found = id === undefined ? [] : whereIs(survey, id);
  const repair =
    found.length > 0 ? found : ['echo 1 > /sys/bus/pci/rescan', 'see what is there: vring pci list'];
  return block('absent', address, `there is no PCI function ${address} on this host`, ...repair);
}

function whereIs(survey: HostSurvey, id: string): string[] {
  const found = survey.functions.filter(fn => `${fn.vendor}:${fn.device}` === id).map(fn => fn.address);
  return found.length === 0 ? [] : [`${id} is at ${sentenceList(found)} now: change host`];
}

/** vfio_pci_dev_in_denylist (drivers/vfio/pci/vfio_pci.c): QAT accelerators that a guest can hang the host with. */
const DENIED = ['0435', '0443', '37c8', '37c9', '19e2', '19e3', '6f54', '6f55', '18ee', '18ef'];

function denylistReasons({ root }: HostSurvey, fn: PciFunction): Reason[] {
  if (fn.vendor !== '8086' || !DENIED.includes(fn.device) || isVfioDriver(fn.driver)) return [];
  if (isYes(readModule(root, 'vfio_pci').parameters.disable_denylist ?? 'N')) return [];
  const reason = 'vfio-pci refuses this accelerator: a guest could hang the host with it (its denylist)';
  const accept = 'only if you trust the guest: modprobe vfio-pci disable_denylist=1';
  return [block('driver', fn.address, reason, 'pass one of its virtual functions instead', accept)];
}

function virtualFunctionReasons(survey: HostSurvey, fn: PciFunction, request: PassthroughRequest): Reason[] {
  if (fn.physicalFunction === null)
    return [...attributesOfOther(fn, request), ...tokenReasons(survey, fn, request)];
  const reasons = tokenReasons(survey, fn, request);
  reasons.push(...macReasons(survey, fn, request));
  if (fn.class.startsWith('0108')) reasons.push(nvmeReason(survey, fn));
  return reasons;
}

/** An NVMe VF responds to its driver only while it is online, which takes resources of its PF. */
function nvmeReason({ secondaryControllers }: HostSurvey, { address }: PciFunction): Reason {
  const secondary = secondaryControllers.get(address);
  if (secondary === undefined) {
    const reason = 'an NVMe VF works only once its PF has given it queues and interrupts';
    const repair =
      'nvme virt-mgmt assigns them (-a 8 with -r 0 and -r 1), and then brings the VF online (-a 9)';
    return warn('sriov', address, reason, repair);
  }
  const { primary, id, online, queues, interrupts } = secondary;
  const has = `${counted(queues, 'queue')} and ${counted(interrupts, 'interrupt')}`;
  if (online) return ok('sriov', address, `it is online, with ${has}`);
  const manage = (rest: string) => `nvme virt-mgmt ${primary} -c ${id} ${rest}`;
  return block(
    'sriov',
    address,
    `it is offline, with ${has} of its PF: its driver in the guest would fail`,
    ...(queues >= LEAST_QUEUES ? [] : [`assign queues: ${manage(`-r 0 -a 8 -n ${LEAST_QUEUES}`)}`]),
    ...(interrupts > 0 ? [] : [`assign interrupts: ${manage('-r 1 -a 8 -n 1')}`]),
    `bring it online: ${manage('-a 9')}`,
  );
}

/** One for admin commands, one for I/O. */
const LEAST_QUEUES = 2;

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** As in vfio_pci_validate_vf_token (drivers/vfio/pci/vfio_pci_core.c). */
function tokenReasons(survey: HostSurvey, fn: PciFunction, { options }: PassthroughRequest): Reason[] {
  const { address, physicalFunction } = fn;
  const hasToken = options?.[address]?.vfToken !== undefined;
  if (physicalFunction === null) {
    if (!hasToken || fn.capabilities.some(({ kind }) => kind === 'sriov')) return [];
    return [
      block('sriov', address, 'it has no virtual functions to share a token with', 'leave out vf-token'),
    ];
  }
  const driver = survey.byAddress.get(physicalFunction)?.driver ?? null;
  if (isVfioDriver(driver)) {
    if (hasToken) return [ok('sriov', address, `it is opened by the token of ${physicalFunction}`)];
    const reason = `its physical function ${physicalFunction} is bound to ${driver}, so VFIO asks for a token that only the PF's owner knows`;
    const repair = `give the PF back to the host: vring vfio unbind ${physicalFunction}`;
    return [block('sriov', address, reason, repair, 'or have both use the same one: vf-token: UUID')];
  }
  if (!hasToken) return [];
  const reason = `VFIO accepts no token for it: its physical function ${physicalFunction} is not bound to vfio-pci`;
  return [block('sriov', address, reason, 'leave out vf-token')];
}

const ATTRIBUTES = ['mac', 'vlan', 'qos', 'trust', 'spoofCheck'] as const;

/** Only a VF's PF can set its MAC address, VLAN and so on. */
function attributesOfOther(fn: PciFunction, { options }: PassthroughRequest): Reason[] {
  const own = options?.[fn.address];
  return ATTRIBUTES.filter(key => own?.[key] !== undefined).map(key =>
    block(
      'mac',
      fn.address,
      `its ${NAMES[key]} cannot be set: it is not a virtual function`,
      `leave out ${KEYS[key]}`,
    ),
  );
}

const NAMES = {
  mac: 'MAC address',
  vlan: 'VLAN',
  qos: 'priority',
  trust: 'trust',
  spoofCheck: 'check of MAC addresses',
} as const;
/** Keys of a definition. */
const KEYS = { mac: 'mac', vlan: 'vlan', qos: 'qos', trust: 'trust', spoofCheck: 'spoof-check' } as const;

/** Without a MAC address, a VF gets a random one from its driver, or the PF's driver refuses the guest's. */
function macReasons(survey: HostSurvey, fn: PciFunction, { options }: PassthroughRequest): Reason[] {
  const given = ATTRIBUTES.filter(key => options?.[fn.address]?.[key] !== undefined);
  const pf = survey.physicalFunctions.get(fn.physicalFunction!);
  const vf = pf?.vfs.find(({ address }) => address === fn.address);
  if (given.length > 0 && !pf?.manager) {
    const what = given.map(key => NAMES[key]).join(' and ');
    const reason = `its ${what} cannot be set: ${fn.physicalFunction} has no network interface on the host`;
    return [block('mac', fn.address, reason, `leave out ${given.map(key => KEYS[key]).join(' and ')}`)];
  }
  const mac = options?.[fn.address]?.mac;
  if (mac !== undefined) return [ok('mac', fn.address, `it gets the MAC address ${mac}`)];
  if (vf?.attributes?.mac !== '00:00:00:00:00:00') return [];
  const reason = 'it has no MAC address: the guest makes one up, another one at each boot';
  return [
    warn(
      'mac',
      fn.address,
      reason,
      'in the definition: mac: 52:54:00:12:34:56',
      `now: vring sriov vf ${fn.physicalFunction} ${vf.index} mac=52:54:00:12:34:56`,
    ),
  ];
}

/** Its audio function carries the sound of its HDMI and DisplayPort connectors. */
function audioReasons(survey: HostSurvey, fn: PciFunction, { addresses }: PassthroughRequest): Reason[] {
  if (!classTraits(fn.class).display) return [];
  const audio = functionsOfSlot(fn, survey.functions).filter(
    other => other.class.startsWith('0403') && !addresses.includes(other.address),
  );
  return audio.map(({ address }) =>
    warn(
      'audio',
      fn.address,
      `its audio function ${address} is not passed: no sound through its connectors, and some drivers fail without it`,
      `pass ${address} too`,
    ),
  );
}

/** A graphics card without a readable ROM: the firmware of the guest cannot show anything on it. */
function romReasons(survey: HostSurvey, fn: PciFunction, { options }: PassthroughRequest): Reason[] {
  const romfile = options?.[fn.address]?.romfile;
  if (romfile !== undefined) return [ok('rom', fn.address, `its ROM is ${romfile}`)];
  if (!classTraits(fn.class).display) return [];
  if (readDetails(survey.root, fn).romSize === null) {
    const reason = "its ROM cannot be read, so the guest's firmware may show nothing on it";
    return [
      warn(
        'rom',
        fn.address,
        reason,
        'get it from the vendor, or from a host that boots with another card: romfile: FILE',
      ),
    ];
  }
  if (!fn.bootVga) return [];
  const reason = "the host's firmware has used its ROM at boot, so what is read of it now may be incomplete";
  return [
    warn(
      'rom',
      fn.address,
      reason,
      'make another card the boot display in the firmware setup, or give a romfile',
    ),
  ];
}
