import { type Command, Option } from 'commander';
import type { Engine } from '../engine/engine.ts';
import { isAlive } from '../engine/vm-info.ts';
import { loadAhead } from '../load-ahead.ts';
import { printError } from '../text/output.ts';
import { colorDepth } from '../theme/detect.ts';
import { THEME_NAMES } from '../theme/themes.ts';
import { openHost } from './host/host-options.ts';

/** How the UI is opened: the options of every command that opens it. */
export type OpenUiOptions = {
  readonly hostRoot?: string;
  readonly readOnly?: boolean;
  readonly ascii?: boolean;
  readonly color?: boolean;
  readonly theme?: string;
  readonly screenReader?: boolean;
};

export function withUiOptions(command: Command): Command {
  return command
    .option('--read-only', 'the UI changes no VM and nothing of the host')
    .option('--host-root <dir>', 'the UI shows a host recorded with vring host record, in place of this one')
    .option('--ascii', 'the UI draws with ASCII characters only')
    .option('--no-color', 'the UI has no colors')
    .addOption(
      new Option('--theme <name>', "the UI's colors (default: VRING_THEME, else default)").choices(
        THEME_NAMES,
      ),
    )
    .option('--screen-reader', 'the UI is lines to be read out; INK_SCREEN_READER=true says the same');
}

/** The first frames come first. */
const LOAD_REST_MS = 1000;

/**
 * Shows the full-screen UI until the user leaves it, then closes the engine: VMs of this process end, those of a manager
 * keep running.
 * @param open the VM whose screen comes first; without it the list of VMs does
 */
export async function openUi(engine: Engine, options: OpenUiOptions, open?: string): Promise<void> {
  const {
    hostRoot = '/',
    readOnly = false,
    ascii = false,
    color = true,
    theme,
    screenReader = false,
  } = options;
  const { path } = await openHost({ hostRoot });
  const [{ runUi }, { hostSource }] = await Promise.all([loadUi(), import('../host-service/worker.ts')]);
  const later = setTimeout(loadRest, LOAD_REST_MS);
  await runUi({
    engine,
    host: hostSource(path),
    readOnly,
    ascii,
    noColor: !color,
    screenReader,
    ...(theme !== undefined && { theme }),
    ...(open !== undefined && { open }),
  });
  clearTimeout(later);
  const running = engine.manager.remote ? engine.vms().filter(isAlive) : [];
  await engine.close();
  if (running.length > 0) printError(`vring: ${goOn(running.map(vm => vm.name))}; vring brings you back`);
}

/** An upgrade of vring removes what a UI that is open has not loaded. */
function loadRest(): void {
  // What cannot be loaded says so when it is needed.
  loadAhead('src/app.tsx').catch(() => {});
}

function goOn(names: readonly string[]): string {
  return names.length === 1 ? `${names[0]} keeps running` : `${names.length} VMs keep running`;
}

/** Ink decides on its colors while it is loaded. */
export async function loadUi() {
  const depth = colorDepth(process.env);
  if (depth === undefined) return import('../app.tsx');
  process.env.FORCE_COLOR = depth;
  try {
    return await import('../app.tsx');
  } finally {
    delete process.env.FORCE_COLOR;
  }
}
