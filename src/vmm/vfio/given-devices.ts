import type { GivenHostDevice, HostDeviceFd } from '../machine/messages.ts';

/** A host device that was passed to a machine, with the fds that came for it. */
export type GivenDevice = Omit<GivenHostDevice, 'fds'> & { readonly fds: ReadonlyMap<HostDeviceFd, number> };

/**
 * Takes the fds of devices, which arrive in the order of the message.
 * @param take returns the next fd, or null if there is none. @throws if one is missing, after closing those that
 * arrived
 */
export function takeGivenDevices(
  devices: readonly GivenHostDevice[],
  take: () => number | null,
  close: (fd: number) => void,
): GivenDevice[] {
  const taken: number[] = [];
  try {
    return devices.map(device => {
      const fds = device.fds.map(kind => {
        const fd = take();
        if (fd === null) throw new Error(`the ${kind} of host device ${device.address} was not passed`);
        taken.push(fd);
        return [kind, fd] as const;
      });
      return { ...device, fds: new Map(fds) };
    });
  } catch (error) {
    for (const fd of taken) close(fd);
    throw error;
  }
}
