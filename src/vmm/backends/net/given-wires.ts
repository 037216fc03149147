import { type Wire, type WireFacts, wireFdCount, wireOf } from './wire.ts';

/** A network passed to a machine for the device with this name. */
export type GivenWire = { readonly device: string; readonly wire: Wire };

/**
 * Takes the fds of networks, which arrive in the order of the message.
 * @param take returns the next fd, or null if there is none. @throws if one is missing, after closing those that
 * arrived
 */
export function takeGivenWires(
  given: readonly { readonly device: string; readonly wire: WireFacts }[],
  take: () => number | null,
  close: (fd: number) => void,
): GivenWire[] {
  const taken: number[] = [];
  try {
    return given.map(({ device, wire }) => {
      const fds = Array.from({ length: wireFdCount(wire) }, () => {
        const fd = take();
        if (fd === null) throw new Error(`the network of ${device} was not passed`);
        taken.push(fd);
        return fd;
      });
      return { device, wire: wireOf(wire, fds) };
    });
  } catch (error) {
    for (const fd of taken) close(fd);
    throw error;
  }
}
