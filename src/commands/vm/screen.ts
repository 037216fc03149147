import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { Engine } from '../../engine/engine.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { preferredLayout } from '../../screen/keyboard/preferred-layout.ts';
import { attachScreen, noScreen, terminalLooks } from '../../screen/terminal/attach.ts';
import { outputLost, printError } from '../../text/output.ts';
import { UsageError } from '../../text/usage-error.ts';
import { endingSignal, HUNG_UP } from '../ending-signal.ts';
import { onTerminal } from '../on-terminal.ts';
import { leaveRawMode, neverBlock, watchRawTerminal } from '../raw-terminal.ts';
import { findVm } from './find.ts';

export type ScreenOptions = {
  readonly layout?: LayoutName | undefined;
  readonly viewOnly?: boolean;
  readonly device?: string;
};

/** Shows the screen of a VM on this terminal until Ctrl-], or until the VM ends. @returns the exit status */
export async function watchScreen(engine: Engine, name: string, options: ScreenOptions): Promise<number> {
  if (!onTerminal())
    throw new UsageError(
      'the screen needs a terminal on stdin and stdout; vring vm screenshot saves a picture',
    );
  const vm = findVm(engine.vms(), name);
  if (!isAlive(vm)) throw new Error(`${name} is ${vm.state}: start it with vring vm start ${name}`);
  const obstacle = noScreen(vm);
  if (obstacle !== null) throw new Error(obstacle);
  const { stdin, stdout } = process;
  const { layout = preferredLayout(vm), device, viewOnly = false } = options;
  neverBlock(stdout);
  const signal = endingSignal();
  stdin.setRawMode(true);
  const screen = attachScreen(engine, vm, {
    ...{ stdin, stdout, layout, device },
    ...terminalLooks(process.env, false),
    readOnly: viewOnly,
  });
  const unwatch = watchRawTerminal(
    stdin,
    () => {},
    () => screen.redraw(),
  );
  let text: string | null = null;
  try {
    const ended = screen.left.then(why => {
      text = why;
      return 0;
    });
    return await Promise.race([ended, signal.status, outputLost.then(() => HUNG_UP)]);
  } finally {
    screen.close();
    unwatch();
    leaveRawMode(stdin);
    stdin.unref?.();
    stdin.pause();
    signal.ignore();
    if (text !== null) printError(`vring: ${text}`);
  }
}
