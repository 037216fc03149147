import type { Cancel } from '../device.ts';
import type { MachineServices } from '../machine-services.ts';
import { type HostDevice, IRQ } from './host-device.ts';

export type DeviceEventsOptions = {
  readonly services: Pick<MachineServices, 'eventFds' | 'events'>;
  /** An error that the device cannot recover from (VFIO_PCI_ERR_IRQ_INDEX). */
  readonly onError: () => void;
  /** The host wants the device back (VFIO_PCI_REQ_IRQ_INDEX); repeated until it is closed. Null if it has to wait. */
  readonly onRequest: (() => void) | null;
};

/** Watches the host's events of a device. @returns stops watching */
export function watchEvents(device: HostDevice, options: DeviceEventsOptions): Cancel {
  const { onError, onRequest } = options;
  const stops = [watch(IRQ.error, onError), ...(onRequest === null ? [] : [watch(IRQ.request, onRequest)])];
  return () => {
    for (const stop of stops.splice(0)) stop();
  };

  function watch(index: number, onSignal: () => void): Cancel {
    if (device.irq(index).count === 0) return () => {};
    const { eventFds, events } = options.services;
    const fd = eventFds.create();
    const unwatch = events.watch(fd, onSignal);
    device.setTriggers(index, 0, [fd]);
    return () => {
      device.disable(index);
      unwatch();
      eventFds.close(fd);
    };
  }
}
