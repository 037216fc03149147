import type { MachineServices } from '../machine-services.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { PowerManagement } from '../pci/power-management.ts';
import type { NicPort } from './nic-port.ts';

/**
 * The power management of a card that wakes the machine.
 * @param softReset whether the function is reset on its way from D3hot to D0
 */
export function cardPower(
  fn: PciFunction,
  port: NicPort,
  services: Pick<MachineServices, 'request'>,
  softReset: boolean,
): PowerManagement {
  return new PowerManagement(fn, {
    softReset,
    onPme: () => services.request({ kind: 'wake', by: 'network' }),
    // A frame that waits for room would keep out the one that wakes the machine.
    onState: () => port.roomAgain(),
  });
}
