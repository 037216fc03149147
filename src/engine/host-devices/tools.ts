import type { HostWriter } from '../../host/plan/writer.ts';
import type { HostRoot } from '../../host/root.ts';
import type { TakenDevices } from '../../host/vfio/taken.ts';
import type { OpenedHostDevice } from '../machines/machine.ts';
import type { LogEntry } from '../vm-info.ts';
import type { HeldFiles } from './open.ts';
import type { WantedHostDevice } from './wanted.ts';

/** The means of taking devices from the host and giving them back. */
export type LendingTools = {
  readonly root: HostRoot;
  readonly records: TakenDevices;
  /** @throws why this process cannot change the host */
  readonly writer: () => HostWriter;
  /**
   * Opens functions that are bound to a VFIO driver, for one VM. @param held what it has open already
   * @throws for the first one that cannot be opened
   */
  readonly open: (
    wanted: readonly WantedHostDevice[],
    held: HeldFiles,
  ) => Promise<readonly OpenedHostDevice[]>;
  readonly note: (level: LogEntry['level'], text: string, vm: string | null) => void;
};
