import type { BuiltDevice } from '../../devices/device-type.ts';
import type { ScreenResize } from '../../devices/display/monitor-size.ts';
import type { ScreenControl } from '../../devices/display/screen-frame.ts';
import type { MachineCommands } from './messages.ts';
import type { Reply } from './reply.ts';

/** Replies with the changes of a screen. */
export function watchScreen(
  devices: readonly BuiltDevice[],
  { device, seen }: MachineCommands['screen']['arguments'],
  reply: Reply<MachineCommands['screen']['result']>,
): void {
  const screen = screenOf(devices, device);
  if (screen === null) {
    reply.failed(device === null ? NO_SCREEN : `the VM has no screen "${device}"`);
    return;
  }
  screen.next(seen, update =>
    reply.done(
      update && {
        seen: update.seen,
        update: Buffer.from(update.update.buffer, 0, update.update.length).toString('base64'),
      },
    ),
  );
}

/** Asks the guest to make a screen as large as its viewer's window. */
export function resizeScreen(
  devices: readonly BuiltDevice[],
  { device, width, height }: MachineCommands['resize-screen']['arguments'],
): ScreenResize {
  const screen = screenOf(devices, device);
  if (screen === null) throw new Error(device === null ? NO_SCREEN : `the VM has no screen "${device}"`);
  return screen.resize?.({ width, height }) ?? 'fixed';
}

const NO_SCREEN = 'the VM has no screen: add `display: vga` to its definition';

function screenOf(devices: readonly BuiltDevice[], name: string | null): ScreenControl | null {
  const found = devices.find(
    ({ device, capabilities }) =>
      capabilities?.screen !== undefined && (name === null || device.name === name),
  );
  return found?.capabilities?.screen ?? null;
}
