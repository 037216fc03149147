import { needsFiles } from '../../devices/backends/char.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { charWire } from '../../vmm/backends/char/opened-char.ts';
import { NetworkError } from '../../vmm/backends/net/network-error.ts';
import { wireFds } from '../../vmm/backends/net/wire.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import { MAX_FDS as MAX_MESSAGE_FDS } from '../../vmm/native/unix-socket.ts';
import { openChar } from '../chars/open-char.ts';
import { closeWires, type OpenedWire } from '../machines/machine.ts';
import type { TakeAtStart, TakeHostDevices } from '../taken-at-start.ts';
import { openTpm } from '../tpm/open-tpm.ts';
import { type KnownNetworks, openWire } from './open-wire.ts';

/** The most fds with one message to a machine's process, less a margin for others. */
const MAX_FDS = MAX_MESSAGE_FDS - 32;

/**
 * Opens the networks, files and TPMs of devices, each of which has a name. The caller closes the fds.
 * @throws NetworkError, with nothing left open
 */
export async function openWires(
  vm: string,
  devices: readonly DeviceConfig[],
  networks: KnownNetworks,
  confine: MachineConfig['confine'],
): Promise<OpenedWire[]> {
  const opened: OpenedWire[] = [];
  try {
    for (const config of devices) {
      const chardev = deviceTable.chardev(config);
      const char = chardev === null ? null : await openChar(chardev);
      if (char !== null) opened.push({ device: config.name!, wire: charWire(char) });
      const tpm = deviceTable.tpm(config);
      if (tpm !== null) opened.push({ device: config.name!, wire: await openTpm(tpm) });
      const network = deviceTable.network(config);
      if (network === null) continue;
      const { options, ...card } = network;
      const device = config.name!;
      const wire = await openWire(options, { vm, device, ...card, strictly: confine === 'strict' }, networks);
      opened.push({ device, wire });
    }
    const count = opened.flatMap(({ wire }) => wireFds(wire)).length;
    if (count > MAX_FDS)
      throw new NetworkError(
        `the networks of ${vm} need ${count} files, but at most ${MAX_FDS} are possible: use fewer queues`,
      );
    return opened;
  } catch (error) {
    closeWires(opened);
    throw error;
  }
}

/** How a machine gets its host resources at its start; null if it needs none. */
export function takingAtStart(
  config: MachineConfig,
  takeHostDevices: TakeHostDevices | null,
  networks: KnownNetworks,
): TakeAtStart | null {
  const devices = withNetworks(config);
  if (takeHostDevices === null && devices.length === 0) return null;
  return async signal => {
    const wires = await openWires(config.name, devices, networks, config.confine);
    try {
      return { wires, hostDevices: (await takeHostDevices?.(signal)) ?? [] };
    } catch (error) {
      closeWires(wires);
      throw error;
    }
  };
}

function needsOpening(device: DeviceConfig): boolean {
  const chardev = deviceTable.chardev(device);
  const hasFiles = chardev !== null && needsFiles(chardev);
  return hasFiles || deviceTable.network(device) !== null || deviceTable.tpm(device) !== null;
}

/**
 * The devices of a configuration that have a network, a TPM, or an output file on the host, by their names in the
 * machine.
 */
function withNetworks({ devices }: MachineConfig): DeviceConfig[] {
  const own = devices.filter(({ type }) => deviceTable.find(type) !== undefined);
  const names = deviceTable.names(own);
  return own.flatMap((device, index) => (!needsOpening(device) ? [] : [{ ...device, name: names[index]! }]));
}
