import { join } from 'node:path';
import { readRecords } from '../../src/manager/machines/machine-record.ts';

/** Kills the machines of a runtime folder that have outlived their manager. */
export function killMachinesIn(runtime: string): void {
  for (const { record } of readRecords(join(runtime, 'machines'), () => {})) {
    for (const { pid } of [record, ...(record.successor === undefined ? [] : [record.successor])]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
  }
}
