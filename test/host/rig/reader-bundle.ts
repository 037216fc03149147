import { build } from 'esbuild';
import type { EmulatedHost } from '../../rig/emulated-host.ts';
import { repository } from '../../rig/workspace.ts';

const program = `
import { readEverything, recordHost } from './src/host/record.ts';
import { HostRoot } from './src/host/root.ts';
const [command, target] = process.argv.slice(2);
console.log(JSON.stringify(command === 'read' ? await readEverything(new HostRoot(target)) : await recordHost(target)));
`;

/** Where the readers are in the emulated host. */
export const reader = '/root/reader.mjs';

/** Puts the readers of this checkout into the emulated host: `node /root/reader.mjs read|record PATH`. */
export async function installReader(host: EmulatedHost): Promise<void> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: repository, loader: 'ts' },
    bundle: true,
    write: false,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  await host.write(reader, outputFiles[0]!.contents);
}
