import type { PassthroughRequest, Reason } from './assessment.ts';
import { block, warn } from './reason.ts';

/** Other VMs that have the same devices, or will take them. */
export function vmReasons({ addresses, claims = [], vm }: PassthroughRequest): Reason[] {
  return claims
    .filter(claim => addresses.includes(claim.address) && claim.vm !== vm?.name)
    .map(({ address, vm: other, running, device }) =>
      running
        ? block(
            'vm',
            address,
            `the VM ${other} has it`,
            `vring vm stop ${other}`,
            ...(device === undefined ? [] : [`vring vm detach ${other} ${device}`]),
          )
        : warn(
            'vm',
            address,
            `the VM ${other} has it in its definition too: only one of them can run at a time`,
          ),
    );
}
