import type { Loss, PassthroughVm } from './assessment.ts';

/** What a VM loses with a device whose state and memory accesses the host does not see. */
export function lossesOf(vm: PassthroughVm | undefined): Loss[] {
  const opaque = "the device's state is inside the device: vring cannot read it, nor put it into another one";
  const pinned = 'the device may access any of its memory at any time, so all of it stays pinned';
  return [
    { what: 'live migration', why: opaque },
    { what: 'snapshots', why: opaque },
    { what: 'save and upgrade while it runs', why: opaque },
    { what: 'memory overcommitment', why: pinned },
    ...(vm === undefined || vm.balloon ? [{ what: 'memory balloon', why: pinned }] : []),
    ...(vm === undefined || vm.mergeable ? [{ what: 'KSM', why: pinned }] : []),
  ];
}
