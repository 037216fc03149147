import path from 'node:path';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { DefinitionInput } from '../schema.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';

type Graphics = NonNullable<DefinitionInput['graphics']>;

/** QEMU's names of keyboard layouts that vring has. */
export const LAYOUTS: Readonly<Record<string, LayoutName>> = {
  'en-us': 'us',
  'en-gb': 'uk',
  de: 'de',
  fr: 'fr',
  es: 'es',
  it: 'it',
};

const NOT_BEYOND_HOST =
  'it listens at a loopback address instead: beyond the host, VNC needs a password and TLS (graphics in docs/definitions.md)';

/** -vnc. @throws OptionError */
export function readVnc(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value, 'vnc');
  const where = settings.take('vnc');
  settings.leaveOut({
    password: 'a password is that of graphics.password-file',
    'password-secret': 'a password is that of graphics.password-file',
    'tls-creds': 'TLS is by graphics.tls-cert and graphics.tls-key',
    audiodev: 'this version has no sound',
    share: 'all clients share the screen',
    lossy: 'pictures are sent as they are',
    'non-adaptive': 'pictures are sent as they are',
    'power-control': 'clients do not turn a VM off',
    'key-delay-ms': 'a guest gets keys as it takes them',
    to: 'the display is the one that is given',
    websocket: 'there are no WebSockets',
    reverse: 'clients connect to the VM',
    head: 'a guest has one screen',
    display: 'a guest has one screen',
    sasl: 'a password is that of graphics.password-file',
    acl: 'a password is that of graphics.password-file',
    'tls-authz': 'a password is that of graphics.password-file',
    'sasl-authz': 'a password is that of graphics.password-file',
  });
  settings.end();
  if (where === undefined || where === 'none') return;
  const layout = draft.keyboardLayout;
  draft.fields.graphics = {
    type: 'vnc',
    ...listen(draft, where, place),
    ...(layout !== null && { layout }),
  };
  // QEMU's machines have a VGA adapter by default.
  draft.fields.display ??= 'vga';
}

function listen(draft: Draft, where: string, place: Place): Pick<Graphics, 'listen'> {
  if (where.startsWith('unix:')) return { listen: socketAt(where.slice('unix:'.length), draft) };
  const match = /^(\[[^\]]*\]|[^:]*):(\d{1,4})$/.exec(where);
  if (match === null) throw new OptionError(`expected [HOST]:DISPLAY, unix:PATH or none, not ${where}`);
  const [, host, display] = match;
  const isLocal = host === '' || /^(localhost|127\.[\d.]+|\[::1\])$/.test(host!);
  if (!isLocal) draft.leaveOut(place, NOT_BEYOND_HOST, host!);
  return { listen: isLocal && host !== '' ? where : `127.0.0.1:${display}` };
}

/** Relative to the folder of the command, not to that of the VM. */
function socketAt(file: string, draft: Draft): string {
  return `unix:${path.resolve(draft.host.cwd, file)}`;
}

/** -spice: becomes a VNC server, unless there is one anyway. SPICE clients cannot connect to it. @throws OptionError */
export function readSpice(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value);
  const file = settings.takeSwitch('unix') ? settings.take('addr') : undefined;
  draft.leaveOut(place, 'it is a VNC server instead, whose clients vring vm show tells where to connect');
  if (draft.fields.graphics !== undefined) return;
  const layout = draft.keyboardLayout;
  draft.fields.graphics = {
    type: 'vnc',
    listen: file === undefined ? 'auto' : socketAt(file, draft),
    ...(layout !== null && { layout }),
  };
  // QEMU's machines have a VGA adapter by default.
  draft.fields.display ??= 'vga';
}

/** -k. */
export function readKeyboard(draft: Draft, value: string, place: Place): void {
  const layout = LAYOUTS[value];
  if (layout === undefined)
    draft.leaveOut(place, 'there is no such layout: clients send keys by their place');
  else draft.keyboardLayout = layout;
}
