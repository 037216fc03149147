import {
  type CharBackend,
  type CharRequest,
  type CharType,
  needsFiles,
} from '../../../devices/backends/char.ts';
import { charText } from '../../../devices/backends/char-fields.ts';
import { codeText } from '../../../text/errno.ts';
import type { ResourceOwner } from '../../native/resource-owner.ts';
import type { Wire } from '../net/wire.ts';
import { FdChar, type FdLoop } from './fd-char.ts';
import { appender, fileChar } from './file-char.ts';
import type { MachineChars } from './machine-chars.ts';
import { charOf, type OpenedChar } from './opened-char.ts';

export type CharParts = {
  /** The console of the port with this name. */
  readonly console: (name: string) => CharBackend;
  /** Same, for a port that only the manager uses. */
  readonly agent: (name: string) => CharBackend;
  /** What the manager opened for a device. */
  readonly opened: (device: string) => { readonly wire: Wire; readonly owner: ResourceOwner };
  readonly loop: FdLoop;
  /** Gets those with a socket or a pseudoterminal. */
  readonly chars: MachineChars;
  /** Warns the user about something that does not stop the machine. */
  readonly warn: (text: string) => void;
};

type Opened = OpenedChar & { readonly closeFd: (fd: number) => void };

/** Opens the host's end of a character device, whose files its manager has opened. @throws an error for the user */
export function openChar(request: CharRequest, parts: CharParts): CharBackend {
  const { options, device } = request;
  if (!needsFiles(options)) return OPENERS[options.type](request, null, parts);
  const { wire, owner } = parts.opened(device);
  const opened = charOf(wire);
  for (const fd of wire.fds) owner.ownFd(fd);
  const backend = OPENERS[options.type](request, { ...opened, closeFd: fd => owner.closeFd(fd) }, parts);
  if (opened.log === null) return backend;
  const log = appender(opened.log, code =>
    parts.warn(`${device}: its log cannot be written: ${codeText(code)}`),
  );
  return logged(backend, log, () => owner.closeFd(opened.log!));
}

type Opener = (request: CharRequest, opened: Opened | null, parts: CharParts) => CharBackend;

const OPENERS: { readonly [Type in CharType]: Opener } = {
  console: ({ device }, _, { console }) => console(device),
  agent: ({ device }, _, { agent }) => agent(device),
  null: noCharacters,
  pty: ({ device }, opened, parts) => fdChar(device, opened, parts),
  unix: ({ device, options }, opened, parts) => fdChar(device, opened, parts, charText(options)),
  tcp: ({ device, options }, opened, parts) => fdChar(device, opened, parts, charText(options)),
  file: ({ device }, opened, { warn }) =>
    fileChar(opened!.fd!, opened!.closeFd, code =>
      warn(`${device}: its file cannot be written: ${codeText(code)}`),
    ),
};

/** The `null` back end. */
export function noCharacters(): CharBackend {
  return { write: () => {}, onInput: null };
}

function fdChar(
  device: string,
  opened: Opened | null,
  { loop, chars, warn }: CharParts,
  label?: string,
): CharBackend {
  const { file, fd, closeFd } = opened!;
  if (file === 'none' || file === 'file' || fd === null) throw new Error(`a ${file} is not a stream`);
  const char = new FdChar({
    ...{ kind: file, fd, label: label ?? opened!.label, loop, isHeld: chars.isHeld },
    warn: text => warn(`${device}: ${text}`),
    closeFd: each => {
      chars.remove(device);
      closeFd(each);
    },
  });
  chars.add(device, char);
  return char;
}

/** The same back end, with its output also written to a log. */
function logged(backend: CharBackend, log: (bytes: Uint8Array) => void, closeLog: () => void): CharBackend {
  return new Proxy(backend, {
    get: (target, key) => {
      if (key === 'write')
        return (bytes: Uint8Array) => {
          log(bytes);
          target.write(bytes);
        };
      if (key === 'close')
        return () => {
          target.close?.();
          closeLog();
        };
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
}
