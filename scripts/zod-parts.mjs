import { readFileSync } from 'node:fs';

/**
 * Parts of zod that it loads whether or not they are used: messages in fifty languages, and schemas made from JSON
 * Schema.
 */
const UNUSED = /\/zod\/v4\/(?:locales\/index|classic\/from-json-schema)\.js$/;

/**
 * Names of objects with everything that zod has, which are never used: schemas come from the module itself. Making such an
 * object takes a microsecond or more per name.
 */
const UNUSED_OBJECTS = [
  ['zod/index.js', 'export { z, z as default };'],
  ['zod/v4/classic/external.js', 'export * as core from "../core/index.js";'],
];

/** An esbuild plugin: bundles omit these parts, which take as long to load as a tenth of all schemas. */
export const zodParts = {
  name: 'zod-parts',
  setup(build) {
    build.onLoad({ filter: UNUSED }, () => ({ contents: 'export const fromJSONSchema = undefined;' }));
    for (const [file, unused] of UNUSED_OBJECTS)
      build.onLoad({ filter: new RegExp(`/node_modules/${file.replaceAll('.', '\\.')}$`) }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!text.includes(unused)) throw new Error(`${path} has no ${unused}: see scripts/zod-parts.mjs`);
        return { contents: text.replace(unused, '') };
      });
  },
};
