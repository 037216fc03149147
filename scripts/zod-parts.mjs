/**
 * Parts of zod that it loads whether or not they are used: messages in fifty languages, and schemas made from JSON
 * Schema.
 */
const UNUSED = /\/zod\/v4\/(?:locales\/index|classic\/from-json-schema)\.js$/;

/** An esbuild plugin: bundles omit these parts, which take as long to load as a tenth of all schemas. */
export const zodParts = {
  name: 'zod-parts',
  setup(build) {
    build.onLoad({ filter: UNUSED }, () => ({ contents: 'export const fromJSONSchema = undefined;' }));
  },
};
