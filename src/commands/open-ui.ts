import { type Command, Option } from 'commander';
import type { Engine } from '../engine/engine.ts';
import { isAlive } from '../engine/vm-info.ts';
import { announceStarted } from '../files/program-started.ts';
import { loadAhead } from '../load-ahead.ts';
import { printError } from '../text/output.ts';
import { colorDepth } from '../theme/detect.ts';
import { THEME_NAMES } from '../theme/themes.ts';
import { openHost } from './host/host-options.ts';

/** The options shared by every command that opens the UI. */
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
    .option('--read-only', 'disable every change to VMs and the host')
    .option('--host-root <dir>', 'show a host recorded with vring host record instead of this one')
    .option('--ascii', 'draw the UI with ASCII characters only')
    .option('--no-color', 'disable colors in the UI')
    .addOption(
      new Option('--theme <name>', 'color theme of the UI (default: VRING_THEME, else default)').choices(
        THEME_NAMES,
      ),
    )
    .option('--screen-reader', 'lay out the UI for screen readers; same as INK_SCREEN_READER=true');
}

/** Draw the first frames first. */
const LOAD_REST_MS = 1000;

/**
 * Shows the full-screen UI until the user quits, then closes the engine: VMs of this process end, those of a manager
 * keep running.
 * @param open the VM to open; without it, the list of VMs
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
  const later = setTimeout(goOnLoading, LOAD_REST_MS);
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
  if (running.length > 0) printError(`vring: ${goOn(running.map(vm => vm.name))}; run vring to reattach`);
}

/** The first frames have been drawn. */
function goOnLoading(): void {
  announceStarted();
  void loadRest();
}

/** Loads everything, because an upgrade of vring removes files that an open UI has not loaded yet. */
async function loadRest(): Promise<void> {
  try {
    await loadAhead();
    // Also loads koffi's addon, which is a separate file.
    const { errnoName } = await import('../vmm/native/libc.ts');
    errnoName(0);
  } catch {
    // It is reported once the module is needed.
  }
}

function goOn(names: readonly string[]): string {
  return names.length === 1 ? `${names[0]} keeps running` : `${names.length} VMs keep running`;
}

/** Ink picks its color depth at import time. */
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
