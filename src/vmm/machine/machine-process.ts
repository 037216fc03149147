/** A machine process: it waits for the configuration of its machine, serves it, and exits. Its manager's socket is fd 3. */
import { confineSelf, endOnSignals } from '../confinement/confine-self.ts';
import { type Layer, layerTitle, mergeLayers } from '../confinement/layer.ts';
import { nativeCalls } from '../native/native-library.ts';
import { type Build, serveMachine } from './serve-machine.ts';

const MANAGER_FD = 3;
/** Where a system call that ends this process is reported. */
const REPORT_FD = 4;

process.title = 'vring: spare';
// Loaded now, while the process is idle.
nativeCalls();
endOnSignals();
serveMachine(MANAGER_FD, {
  building: ({ config }) => {
    process.title = `vring: ${config.name}`;
  },
  confine,
});
process.exit(0);

/** @throws when strict confinement lacks a layer */
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
