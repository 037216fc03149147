import type { TpmBackend, TpmRequest } from '../../../devices/backends/tpm.ts';
import type { ResourceOwner } from '../../native/resource-owner.ts';
import { FdChar, type FdLoop } from '../char/fd-char.ts';
import type { Wire } from '../net/wire.ts';
import { Swtpm } from './swtpm.ts';

export type TpmParts = {
  /** What the manager opened for a device. */
  readonly opened: (device: string) => { readonly wire: Wire; readonly owner: ResourceOwner };
  readonly loop: FdLoop;
  /** Warns the user about something that does not stop the machine. */
  readonly warn: (text: string) => void;
};

/** The TPM of a device, whose sockets its manager has opened. @throws if the wire belongs to another kind of device */
export function openTpm({ device }: TpmRequest, { opened, loop, warn }: TpmParts): TpmBackend {
  const { wire, owner } = opened(device);
  const [data, control] = wire.fds;
  if (data === undefined || control === undefined) throw new Error('what was opened is not a TPM');
  for (const fd of wire.fds) owner.ownFd(fd);
  const stream = (fd: number) =>
    new FdChar({ kind: 'stream', fd, label: wire.label, loop, closeFd: each => owner.closeFd(each) });
  return new Swtpm({
    label: wire.label,
    data: stream(data),
    control: stream(control),
    warn: text => warn(`${device}: ${text}`),
  });
}
