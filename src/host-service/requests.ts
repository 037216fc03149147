import type { BindRequest } from '../host/plan/bind.ts';
import type { NetworkRequest } from '../host/plan/networks/create.ts';
import type { UnbindRequest } from '../host/plan/unbind.ts';
import type { VfAttributesRequest } from '../host/plan/vf-attributes.ts';
import type { VfCountRequest } from '../host/plan/vf-count.ts';

/** A change of the host that the user requests; a plan has the steps. */
export type PlanRequest =
  | ({ readonly kind: 'bind' } & BindRequest)
  | ({ readonly kind: 'unbind' } & UnbindRequest)
  | ({ readonly kind: 'vf-count' } & VfCountRequest)
  | ({ readonly kind: 'vf-attributes' } & VfAttributesRequest)
  /** The kernel parameters that enable the IOMMU at the next boot. */
  | { readonly kind: 'iommu' }
  | ({ readonly kind: 'network-create' } & NetworkRequest)
  | {
      readonly kind: 'network-start' | 'network-stop' | 'network-delete';
      /** The name of the network. */
      readonly name: string;
    };

/** An option that the user can still change while the plan is shown. */
export type PlanOption = 'wholeGroup' | 'persist';

/** The options of a request, and their current values. */
export function optionsOf(request: PlanRequest): Partial<Record<PlanOption, boolean>> {
  switch (request.kind) {
    case 'bind':
    case 'unbind':
      return { wholeGroup: request.wholeGroup, persist: request.persist === true };
    case 'vf-count':
    case 'vf-attributes':
      return { persist: request.persist === true };
    case 'iommu':
    case 'network-create':
    case 'network-start':
    case 'network-stop':
    case 'network-delete':
      return {};
  }
}

export function withOption(request: PlanRequest, option: PlanOption, on: boolean): PlanRequest {
  return option in optionsOf(request) ? { ...request, [option]: on } : request;
}
