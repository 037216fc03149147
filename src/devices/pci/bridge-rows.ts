import type { BuiltDevice, ConfigurableType, DeviceBus, Zod } from '../device-type.ts';
import { deviceFields } from '../device-type.ts';
import { type PciBridge, pciBridge, pcieToPciBridge } from './pci-bridge.ts';
import { RootPort } from './root-port.ts';

/** The bus behind a bridge. */
export function busBehind(bridge: PciBridge): DeviceBus {
  return {
    ...(bridge instanceof RootPort && { hotplug: bridge }),
    attach: ({ pci }, address) => {
      if (pci === undefined) return;
      bridge.secondary.plug(
        pci,
        address === null ? undefined : { slot: address.unit, function: address.function },
      );
    },
  };
}

/** A device that is a bridge, and provides the bus behind it. */
function built(bridge: PciBridge): BuiltDevice {
  return { device: bridge, pci: bridge, bus: busBehind(bridge) };
}

const rootPortOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'root-port'),
    slot: z
      .int()
      .min(0, 'a number from 0 to 8191')
      .max(8191, 'a number from 0 to 8191')
      .default(0)
      .describe('the number of its slot, by which guests name it; 0 for none'),
  });

export const rootPort: ConfigurableType<ReturnType<typeof rootPortOptions>> = {
  type: 'root-port',
  title: 'PCI Express root port',
  description:
    'a slot for one device, with hotplug; further devices get such ports when the slots of bus 0 are taken',
  bus: 'pci',
  provides: { kind: 'pci', first: 0, units: 1 },
  prefix: 'port',
  config: rootPortOptions,
  create: ({ allocateMsi }, { slot }, name) => built(new RootPort(name, { slot, allocateMsi })),
};

const pciBridgeOptions = (z: Zod) => z.strictObject(deviceFields(z, 'pci-bridge'));

export const pciToPciBridge: ConfigurableType<ReturnType<typeof pciBridgeOptions>> = {
  type: 'pci-bridge',
  title: 'PCI-to-PCI bridge',
  description: 'a conventional PCI bus with 32 slots',
  bus: 'pci',
  provides: { kind: 'pci', first: 0, units: 32 },
  prefix: 'bridge',
  config: pciBridgeOptions,
  create: (_services, _options, name) => built(pciBridge(name)),
};

const pciePciBridgeOptions = (z: Zod) => z.strictObject(deviceFields(z, 'pcie-pci-bridge'));

export const pciePciBridge: ConfigurableType<ReturnType<typeof pciePciBridgeOptions>> = {
  type: 'pcie-pci-bridge',
  title: 'PCI Express to PCI bridge',
  description: 'a conventional PCI bus with 32 slots, behind a PCI Express link',
  bus: 'pci',
  provides: { kind: 'pci', first: 0, units: 32 },
  prefix: 'pbridge',
  config: pciePciBridgeOptions,
  create: (_services, _options, name) => built(pcieToPciBridge(name)),
};
