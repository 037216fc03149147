import type { BindRequest } from '../host/plan/bind.ts';
import type { UnbindRequest } from '../host/plan/unbind.ts';
import type { VfAttributesRequest } from '../host/plan/vf-attributes.ts';
import type { VfCountRequest } from '../host/plan/vf-count.ts';

/** What the user wants of the host; a plan says how. */
export type PlanRequest =
  | ({ readonly kind: 'bind' } & BindRequest)
  | ({ readonly kind: 'unbind' } & UnbindRequest)
  | ({ readonly kind: 'vf-count' } & VfCountRequest)
  | ({ readonly kind: 'vf-attributes' } & VfAttributesRequest)
  /** The kernel parameters with which the IOMMU is on after a boot. */
  | { readonly kind: 'iommu' };

/** What the user may still choose while the plan is shown. */
export type PlanOption = 'wholeGroup' | 'persist';

/** The choices of a request, and what is chosen now. */
export function optionsOf(request: PlanRequest): Partial<Record<PlanOption, boolean>> {
  switch (request.kind) {
    case 'bind':
    case 'unbind':
      return { wholeGroup: request.wholeGroup, persist: request.persist === true };
    case 'vf-count':
    case 'vf-attributes':
      return { persist: request.persist === true };
    case 'iommu':
      return {};
  }
}

export function withOption(request: PlanRequest, option: PlanOption, on: boolean): PlanRequest {
  return option in optionsOf(request) ? { ...request, [option]: on } : request;
}
