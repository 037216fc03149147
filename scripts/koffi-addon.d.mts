import type { Plugin } from 'esbuild';

/** An esbuild plugin: the bundles load koffi's prebuilt addon from dist/. */
export const koffiAddon: Plugin;
