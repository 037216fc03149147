import type { Loss, PassthroughVm } from './assessment.ts';

/** What a VM loses with a device whose state and memory accesses the host does not see. */
export function lossesOf(vm: PassthroughVm | undefined): Loss[] {
  const opaque = 'vring cannot read the state inside the device, nor put it into another one';
  const pinned = 'the device may access any of its memory at any time';
  return [
    { what: 'live migration', why: opaque },
    { what: 'snapshots', why: opaque },
    { what: 'save', why: opaque },
    { what: 'upgrade', why: opaque },
    { what: 'memory overcommitment', why: pinned },
    ...(vm === undefined || vm.balloon ? [{ what: 'memory balloon', why: pinned }] : []),
    ...(vm === undefined || vm.mergeable ? [{ what: 'KSM', why: pinned }] : []),
  ];
}
