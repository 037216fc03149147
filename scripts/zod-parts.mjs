/** Parts of zod that it loads whether they are used or not: messages in fifty languages, and schemas made from JSON Schema. */
const UNUSED = /\/zod\/v4\/(?:locales\/index|classic\/from-json-schema)\.js$/;

/** An esbuild plugin: bundles have no such parts, which take as long to load as a tenth of all schemas. */
export const zodParts = {
  name: 'zod-parts',
  setup(build) {
    build.onLoad({ filter: UNUSED }, () => ({ contents: 'export const fromJSONSchema = undefined;' }));
  },
};
