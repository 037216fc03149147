import { isYes } from '../doctor/processor.ts';
import { classTraits } from '../pci/class.ts';
import type { PciFunction } from '../pci/function.ts';
import { functionsOfSlot } from '../pci/tree.ts';
import type { HostSurvey } from '../plan/survey.ts';
import { readModule } from '../vfio/modules.ts';
import { isVfioDriver } from '../vfio/read.ts';
import type { PassthroughRequest, Reason } from './assessment.ts';
import { block, ok, warn } from './reason.ts';

/** What kind of function it is, and what that asks for. */
export function functionReasons(survey: HostSurvey, fn: PciFunction, request: PassthroughRequest): Reason[] {
  return [
    ...idReasons(fn, request),
    ...denylistReasons(survey, fn),
    ...virtualFunctionReasons(survey, fn, request),
    ...audioReasons(survey, fn, request),
  ];
}

function idReasons(fn: PciFunction, { options }: PassthroughRequest): Reason[] {
  const expected = options?.[fn.address]?.id;
  const id = `${fn.vendor}:${fn.device}`;
  if (expected === undefined) return [];
  if (expected === id) return [ok('id', fn.address, `it is the expected ${id}`)];
  const reason = `${id} is at this address, not ${expected} as the definition expects: addresses change as cards are added`;
  return [block('id', fn.address, reason, `find it: vring pci list | grep ${expected}`)];
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
  if (fn.physicalFunction === null) return [];
  const reasons: Reason[] = [];
  const physical = survey.byAddress.get(fn.physicalFunction);
  if (isVfioDriver(physical?.driver ?? null)) {
    // vfio_pci_validate_vf_token (drivers/vfio/pci/vfio_pci_core.c).
    const reason = `its physical function ${fn.physicalFunction} is bound to ${physical!.driver}, so VFIO asks for a token that only its owner knows`;
    reasons.push(
      block(
        'sriov',
        fn.address,
        reason,
        `give the PF back to the host: vring vfio unbind ${fn.physicalFunction}`,
      ),
    );
  }
  const pf = survey.physicalFunctions.get(fn.physicalFunction);
  const vf = pf?.vfs.find(({ address }) => address === fn.address);
  const mac = request.options?.[fn.address]?.mac;
  if (mac !== undefined) {
    reasons.push(
      pf?.manager === null || pf === undefined
        ? block(
            'mac',
            fn.address,
            `its MAC address cannot be set: ${fn.physicalFunction} has no interface of the host`,
            'leave out mac',
          )
        : ok('mac', fn.address, `it gets the MAC address ${mac}`),
    );
  } else if (vf?.attributes?.mac === '00:00:00:00:00:00') {
    const reason = 'it has no MAC address: the guest makes one up, another one at each boot';
    reasons.push(
      warn(
        'mac',
        fn.address,
        reason,
        `in the definition: mac: 52:54:00:12:34:56`,
        `now: vring sriov vf ${fn.physicalFunction} ${vf.index} mac=52:54:00:12:34:56`,
      ),
    );
  }
  if (fn.class.startsWith('0108')) {
    const reason = 'an NVMe VF works only once its PF has given it queues and interrupts';
    reasons.push(
      warn(
        'sriov',
        fn.address,
        reason,
        'nvme virt-mgmt assigns them (-a 8 -r 0 and -r 1), and brings it online (-a 9)',
      ),
    );
  }
  return reasons;
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
