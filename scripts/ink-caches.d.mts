import type { Plugin } from 'esbuild';

export const inkCaches: Plugin;
