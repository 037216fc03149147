import type { ScreenFrame } from '../../devices/display/screen-frame.ts';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { Engine } from '../../engine/engine.ts';
import { followScreen } from '../../engine/screen/follow-screen.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { printable } from '../../text/printable.ts';
import { type ColorDepth, terminalDepth } from '../cells/colors.ts';
import { InputQueue } from '../keyboard/input-queue.ts';
import { saveScreenshot } from '../picture/save-screenshot.ts';
import { drained } from './drained.ts';
import { ScreenSession } from './screen-session.ts';

export type AttachOptions = {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly layout: LayoutName;
  readonly depth: ColorDepth;
  readonly ascii: boolean;
  readonly readOnly: boolean;
  /** Default: the VM's first screen. */
  readonly device?: string | undefined;
};

/** The appearance of a session on this terminal. */
export function terminalLooks(
  env: NodeJS.ProcessEnv,
  noColor: boolean,
): Pick<AttachOptions, 'depth' | 'ascii'> {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  const ascii = env.TERM === 'dumb' || !/utf-?8/i.test(locale);
  return { depth: noColor ? 'none' : terminalDepth(env), ascii };
}

/** Why the VM has no screen to show; null if it has one. */
export function noScreen({ name, topology }: VmInfo): string | null {
  const devices = topology?.devices ?? [];
  return devices.some(({ screen }) => screen)
    ? null
    : `${name} has no screen: give it one with \`display: vga\` in its definition`;
}

/** A VM's screen shown on a terminal, which is in raw mode already. */
export type AttachedScreen = {
  /** Resolves with null when the user leaves, or with why the session ended. */
  readonly left: Promise<string | null>;
  /** Redraws the whole terminal. */
  redraw(): void;
  /** Releases the terminal. */
  close(): void;
};

/** Shows the screen of a VM on the whole terminal, and sends the user's input to the VM's keyboard. */
export function attachScreen(engine: Engine, vm: VmInfo, options: AttachOptions): AttachedScreen {
  const { stdin, stdout, layout, depth, ascii, readOnly, device } = options;
  const { promise: left, resolve: leave } = Promise.withResolvers<string | null>();
  const link = followScreen(engine, vm.id, device);
  const queue = new InputQueue(engine, vm.id, () => {});
  const session = new ScreenSession({
    ...{ link, depth, ascii, layout },
    name: printable(vm.name),
    terminal: {
      get size() {
        return { columns: stdout.columns || 80, rows: stdout.rows || 24 };
      },
      write: text => {
        stdout.write(text);
      },
      drained: () => drained(stdout),
    },
    input: readOnly ? null : events => queue.push(events),
    screenshot: (frame: ScreenFrame) => `saved ${saveScreenshot(frame, vm.name)}`,
    left: () => leave(null),
  });
  const typed = (bytes: Buffer) => session.typed(bytes);
  const resized = () => session.redraw();
  const ended = () => leave('the terminal is gone');
  stdin.on('data', typed);
  stdin.on('end', ended);
  stdout.on('resize', resized);
  const unsubscribe = engine.subscribe(event => {
    if (event.kind === 'removed' && event.id === vm.id) leave(`${vm.name} was deleted`);
    if (event.kind !== 'vm' || event.vm.id !== vm.id || isAlive(event.vm)) return;
    leave(`${vm.name} is ${event.vm.state}${event.vm.reason === null ? '' : `: ${event.vm.reason}`}`);
  });
  session.run().catch((error: Error) => leave(error.message));
  return {
    left,
    redraw: resized,
    close: () => {
      unsubscribe();
      stdin.off('data', typed);
      stdin.off('end', ended);
      stdout.off('resize', resized);
      session.close();
    },
  };
}
