import type { Build } from '../../vmm/machine/serve-machine.ts';
import { uuidOf } from '../../vmm/machine/vm-uuid.ts';
import { allowLocking } from '../host-devices/memlock.ts';
import { hostDevicesOf, type Launch, restoreOf, wiresOf } from './machine.ts';

/** What a machine of this process is sent first: the message, and the fds that go with it. */
export function buildMessage(launch: Launch): { message: Build; fds: number[] } {
  const { config, countersFd, registration, restore, hostDevices, wires } = launch;
  const restored = restoreOf(restore);
  const given = hostDevicesOf(hostDevices);
  if (given.fds.length > 0) allowLocking(process.pid, config.memory.bytes);
  const networks = wiresOf(wires);
  // A thread that is just starting would load Node's crypto for this, while this one waits for it.
  const uuid = config.uuid ?? uuidOf(config.name);
  return {
    message: {
      kind: 'build',
      config: { ...config, uuid },
      token: registration?.token ?? '',
      layers: [],
      user: null,
      ...restored.message,
      ...given.message,
      ...networks.message,
    },
    fds: [countersFd, ...restored.fds, ...given.fds, ...networks.fds],
  };
}
