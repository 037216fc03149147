/**
 * A machine process: it waits for the configuration of its machine, serves it, and exits. Its manager's socket is fd 3.
 */
import { confineSelf, endOnSignals, readTimeZone } from '../confinement/confine-self.ts';
import { type Layer, layerTitle, mergeLayers } from '../confinement/layer.ts';
import { nativeCalls } from '../native/native-library.ts';
import { waitForFds } from '../native/unix-socket.ts';
import { freeMemory } from './free-memory.ts';
import { rehearse } from './rehearsal.ts';
import { type Build, serveMachine } from './serve-machine.ts';
import { takeMarks } from './start-trace.ts';

const MANAGER_FD = 3;
/** Where a system call that ends this process is reported. */
const REPORT_FD = 4;
/**
 * In this time, a manager and its first client, or a VM that is wanted immediately, can start: they should have the
 * host's CPUs.
 */
const REHEARSE_AFTER_MS = 500;

process.title = 'vring: spare';
// Loaded now, while the process is idle.
nativeCalls();
endOnSignals();
readTimeZone();
if (waitForFds([{ fd: MANAGER_FD }], REHEARSE_AFTER_MS).length === 0) prepare();
serveMachine(MANAGER_FD, {
  building: ({ config }) => {
    process.title = `vring: ${config.name}`;
  },
  confine,
  idle: freeMemory,
});
process.exit(0);

/** Does work in advance that would take time at the machine's start. */
function prepare(): void {
  try {
    rehearse(MANAGER_FD);
  } catch {
    // A host that cannot run machines reports that when one is started.
  }
  // The start should find the young generation empty. If the whole heap were shrunk, it would have to grow again then.
  globalThis.gc?.({ type: 'minor', execution: 'sync' });
  takeMarks();
}

/** @throws if strict confinement lacks a layer */
function confine({ config, layers: started, user }: Build): readonly Layer[] {
  if (config.confine === 'off') return started;
  const own = confineSelf({ reportFd: REPORT_FD, ...(user !== null && { user }) });
  const layers = mergeLayers(started, own);
  const missing = layers.find(({ state }) => state === 'unavailable');
  if (config.confine === 'strict' && missing !== undefined)
    throw new Error(
      `strict confinement needs ${layerTitle(missing.name)}, which this host does not provide: ${missing.reason}`,
    );
  return layers;
}
