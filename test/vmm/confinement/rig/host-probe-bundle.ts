import { build } from 'esbuild';
import { koffiAddon } from '../../../../scripts/koffi-addon.mjs';
import { version } from '../../../../src/project-root.ts';
import type { EmulatedHost } from '../../../rig/emulated-host.ts';
import { repository } from '../../../rig/workspace.ts';

/** Beside the native library, where a bundle looks for it. */
const PROBE = '/opt/vring/dist/host-probe.mjs';

/** Puts test/support/confinement/host-probe.ts into the emulated host. @returns how to run it, with its argument */
export async function installProbe(host: EmulatedHost): Promise<(...args: string[]) => string> {
  const { outputFiles } = await build({
    entryPoints: [`${repository}/test/support/confinement/host-probe.ts`],
    absWorkingDir: repository,
    bundle: true,
    write: false,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    plugins: [koffiAddon],
    define: { VRING_VERSION: JSON.stringify(version()) },
  });
  await host.write(PROBE, outputFiles[0]!.contents);
  await host.check(`chmod 644 ${PROBE}`);
  return (...args) => `node ${PROBE} ${args.map(argument => `'${argument}'`).join(' ')}`;
}
