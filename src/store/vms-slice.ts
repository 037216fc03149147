import { isDeepStrictEqual } from 'node:util';
import type { QueueLoads } from '../engine/sampling/queue-load.ts';
import type { VmDetail, VmTotals } from '../engine/sampling/rates.ts';
import type { Sample } from '../engine/sampling/sampling.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { own } from '../text/own.ts';
import {
  type DetailHistory,
  EMPTY_HISTORY,
  NO_DETAIL_HISTORY,
  type VmHistory,
  withDetail,
  withSample,
} from './history.ts';
import type { ListSlice } from './list-slice.ts';
import { printableVm } from './printable-vm.ts';
import type { ListCursor } from './screens.ts';
import type { SliceCreator } from './slice.ts';

export type VmsSlice = {
  /** Ids in the engine's order, by name; later ones are inserted in their place. */
  readonly order: readonly string[];
  readonly infos: Readonly<Record<string, VmInfo>>;
  /** The last sample of each running VM. */
  readonly totals: Readonly<Record<string, VmTotals>>;
  readonly histories: Readonly<Record<string, VmHistory>>;
  /** Of all VMs together. */
  readonly sumHistory: VmHistory;
  /** The last sample of the VM whose screen is open. */
  readonly detail: { readonly id: string; readonly rates: VmDetail } | null;
  /** The queues of all VMs, while they are sampled. */
  readonly queues: QueueLoads | null;
  /** In the queue list; null for the first row. */
  readonly queueCursor: ListCursor | null;
  /** Of that VM, while it is sampled in detail. */
  readonly detailHistory: DetailHistory;
  /** When the last sample was taken: milliseconds since 1970, 0 before the first. */
  readonly sampledAt: number;

  vmsListed(vms: readonly VmInfo[]): void;
  vmChanged(vm: VmInfo): void;
  vmRemoved(id: string): void;
  sampled(sample: Sample): void;
  setQueueCursor(cursor: ListCursor): void;
};

export const createVmsSlice: SliceCreator<VmsSlice, VmsSlice & Pick<ListSlice, 'markedVms'>> = set => ({
  order: [],
  infos: {},
  totals: {},
  histories: {},
  sumHistory: EMPTY_HISTORY,
  detail: null,
  queues: null,
  queueCursor: null,
  detailHistory: NO_DETAIL_HISTORY,
  sampledAt: 0,

  vmsListed: vms =>
    set({ order: vms.map(vm => vm.id), infos: Object.fromEntries(vms.map(vm => [vm.id, printableVm(vm)])) }),

  vmChanged: vm =>
    set(state => ({
      infos: { ...state.infos, [vm.id]: printableVm(vm) },
      order: Object.hasOwn(state.infos, vm.id) ? state.order : withInOrder(state.order, vm.id),
    })),

  vmRemoved: id =>
    set(state => ({
      order: state.order.filter(other => other !== id),
      infos: without(state.infos, id),
      totals: without(state.totals, id),
      histories: without(state.histories, id),
      markedVms: withoutItem(state.markedVms, id),
    })),

  sampled: ({ at, totals, detail, queues }) =>
    set(state => {
      if (at === state.sampledAt) return { detail, queues };
      const detailHistory = withDetail(state.detailHistory, detail);
      const histories = { ...state.histories };
      const kept: Record<string, VmTotals> = {};
      for (const [id, sample] of Object.entries(totals)) {
        histories[id] = withSample(own(histories, id) ?? EMPTY_HISTORY, sample);
        // Equal values keep their object, so that an idle VM's row is not redrawn.
        const last = own(state.totals, id);
        kept[id] = last && isDeepStrictEqual(last, sample) ? last : sample;
      }
      const sumHistory = withSample(state.sumHistory, sumOfTotals(Object.values(totals)));
      return { sampledAt: at, totals: kept, histories, sumHistory, detail, detailHistory, queues };
    }),
  setQueueCursor: queueCursor => set({ queueCursor }),
});

/** The sum over all VMs. */
export function sumOfTotals(totals: readonly VmTotals[]): Pick<VmTotals, keyof VmHistory> {
  const sum = (key: keyof VmHistory) => totals.reduce((all, one) => all + one[key], 0);
  return { cpu: sum('cpu'), exits: sum('exits'), requests: sum('requests') };
}

/** Returns the same set if it lacks the item. */
function withoutItem(set: ReadonlySet<string>, item: string): ReadonlySet<string> {
  return set.has(item) ? new Set([...set].filter(other => other !== item)) : set;
}

function without<Value>(
  record: Readonly<Record<string, Value>>,
  key: string,
): Readonly<Record<string, Value>> {
  const { [key]: _, ...rest } = record;
  return rest;
}

/** The ids with one more, before the first that sorts after it. */
function withInOrder(order: readonly string[], id: string): string[] {
  const after = order.findIndex(other => other > id);
  return order.toSpliced(after < 0 ? order.length : after, 0, id);
}
