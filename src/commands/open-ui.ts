import type { Command } from 'commander';
import type { Engine } from '../engine/engine.ts';
import { openHost } from './host/host-options.ts';

/** How the UI is opened: the options of every command that opens it. */
export type OpenUiOptions = {
  readonly hostRoot?: string;
  readonly readOnly?: boolean;
  readonly ascii?: boolean;
  readonly color?: boolean;
};

export function withUiOptions(command: Command): Command {
  return command
    .option('--read-only', 'the UI changes no VM and nothing of the host')
    .option('--host-root <dir>', 'the UI shows a host recorded with vring host record, in place of this one')
    .option('--ascii', 'the UI draws with ASCII characters only')
    .option('--no-color', 'the UI has no colours');
}

/**
 * Shows the full-screen UI until the user leaves it, then ends the VMs.
 * @param open the VM whose screen comes first; without it the list of VMs does
 */
export async function openUi(engine: Engine, options: OpenUiOptions, open?: string): Promise<void> {
  const { hostRoot = '/', readOnly = false, ascii = false, color = true } = options;
  const { path } = await openHost({ hostRoot });
  const [{ runUi }, { hostSource }] = await Promise.all([
    import('../app.tsx'),
    import('../store/host-worker.ts'),
  ]);
  await runUi({
    engine,
    host: hostSource(path),
    readOnly,
    ascii,
    noColor: !color,
    ...(open !== undefined && { open }),
  });
  await engine.close();
}
