import { createStore, type StoreApi } from 'zustand/vanilla';
import { type ConsoleSlice, createConsoleSlice } from './console-slice.ts';
import { createHostSlice, type HostSlice } from './host-slice.ts';
import { createImagesSlice, type ImagesSlice } from './images-slice.ts';
import { createLinkSlice, type LinkSlice } from './link-slice.ts';
import { createListSlice, type ListSlice } from './list-slice.ts';
import { createLogSlice, type LogSlice } from './log-slice.ts';
import { createNetworksSlice, type NetworksSlice } from './networks-slice.ts';
import { createSamplingSlice, type SamplingSlice } from './sampling-slice.ts';
import { createSnapshotsSlice, type SnapshotsSlice } from './snapshots-slice.ts';
import { createUiSlice, type UiSlice } from './ui-slice.ts';
import { createUsageSlice, type UsageSlice } from './usage-slice.ts';
import { createVmViewSlice, type VmViewSlice } from './vm-view-slice.ts';
import { createVmsSlice, type VmsSlice } from './vms-slice.ts';

/** All state shown by the UI. Screens select from it; commands, the sampler and the engine's events change it. */
export type AppState = VmsSlice &
  VmViewSlice &
  LogSlice &
  UsageSlice &
  UiSlice &
  SamplingSlice &
  ConsoleSlice &
  HostSlice &
  ListSlice &
  NetworksSlice &
  ImagesSlice &
  LinkSlice &
  SnapshotsSlice;
export type AppStore = StoreApi<AppState>;

export function createAppStore(): AppStore {
  return createStore<AppState>()((set, get) => ({
    ...createVmsSlice(set, get),
    ...createVmViewSlice(set, get),
    ...createLogSlice(set, get),
    ...createUsageSlice(set, get),
    ...createUiSlice(set, get),
    ...createSamplingSlice(set, get),
    ...createConsoleSlice(set, get),
    ...createHostSlice(set, get),
    ...createListSlice(set, get),
    ...createLinkSlice(set, get),
    ...createNetworksSlice(set, get),
    ...createImagesSlice(set, get),
    ...createSnapshotsSlice(set, get),
  }));
}
