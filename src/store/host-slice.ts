import { type HostPart, withParts } from '../host-service/delta.ts';
import type { FunctionDetails, ReadProgress } from '../host-service/protocol.ts';
import { emptyHost, type HostSnapshot } from '../host-service/snapshot.ts';
import type { HostList, ListCursor } from './screens.ts';
import type { SliceCreator } from './slice.ts';

export type HostSlice = {
  /** As last read; null before the first read. */
  readonly host: HostSnapshot | null;
  /** Progress of the first read, during which `host` has only some of the functions. Null before and after it. */
  readonly hostReading: ReadProgress | null;
  /** Why the host can no longer be read; null while it can. */
  readonly hostLost: string | null;
  /** The details of the function that is shown. */
  readonly hostDetails: { readonly address: string; readonly details: FunctionDetails | null } | null;
  /** The function last selected, in any list. */
  readonly device: string | null;
  readonly hostCursors: Readonly<Partial<Record<HostList, ListCursor>>>;
  /** Addresses of the functions that the next command applies to. */
  readonly marked: ReadonlySet<string>;
  /** The first visible line of a function's screen. */
  readonly factsOffset: number;
  /** Nodes of the PCI tree that the user has opened or closed. */
  readonly toggled: ReadonlySet<string>;

  hostRead(parts: readonly HostPart[]): void;
  setHostReading(progress: ReadProgress | null): void;
  /** The thread that reads it has died. */
  hostGone(reason: string): void;
  /** Clears it, to be read from scratch. */
  hostForgotten(): void;
  hostDetailsRead(details: HostSlice['hostDetails']): void;
  /** @param address the function in that row; null if it has none */
  setHostCursor(list: HostList, cursor: ListCursor, address: string | null): void;
  setDevice(address: string): void;
  setMarked(marked: ReadonlySet<string>): void;
  setFactsOffset(line: number): void;
  setToggled(toggled: ReadonlySet<string>): void;
};

export const createHostSlice: SliceCreator<HostSlice> = set => ({
  host: null,
  hostReading: null,
  hostLost: null,
  hostDetails: null,
  device: null,
  hostCursors: {},
  marked: new Set(),
  toggled: new Set(),
  factsOffset: 0,

  hostRead: parts =>
    set(state => {
      const host = withParts(state.host ?? emptyHost, parts);
      const gone = [...state.marked].some(address => !host.functions.has(address));
      return gone
        ? { host, marked: new Set([...state.marked].filter(address => host.functions.has(address))) }
        : { host };
    }),
  setHostReading: hostReading => set(state => (state.hostReading === hostReading ? {} : { hostReading })),
  hostGone: hostLost => set({ hostLost }),
  hostForgotten: () => set({ host: null, hostReading: null, hostLost: null, hostDetails: null }),
  hostDetailsRead: hostDetails => set({ hostDetails }),
  setHostCursor: (list, cursor, address) =>
    set(state => ({
      hostCursors: { ...state.hostCursors, [list]: cursor },
      device: address ?? state.device,
    })),
  setDevice: device => set({ device }),
  setMarked: marked => set({ marked }),
  setFactsOffset: factsOffset => set({ factsOffset }),
  setToggled: toggled => set({ toggled }),
});
