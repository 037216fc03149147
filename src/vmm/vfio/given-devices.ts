import type { GivenHostDevice, HostDeviceFd } from '../machine/messages.ts';

/** A host device that a machine was given, with the fds that came for it. */
export type GivenDevice = Omit<GivenHostDevice, 'fds'> & { readonly fds: ReadonlyMap<HostDeviceFd, number> };

/**
 * Takes the fds of devices, which come in the order of the message.
 * @param take the next fd; null: there is none. @throws when one is missing; those that came are then closed
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
        if (fd === null) throw new Error(`the ${kind} of host device ${device.address} did not come with it`);
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
