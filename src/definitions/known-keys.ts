import type { JsonSchema } from './json-schema.ts';

/**
 * The keys that a schema knows at a place.
 * @param value what is at `path` and above: where a `type` chooses among schemas, that one's keys are meant
 */
export function knownKeys(schema: JsonSchema, value: unknown, path: readonly PropertyKey[]): string[] {
  let schemas = choices(schema, value);
  let here = value;
  for (const step of path) {
    here = (here as Record<PropertyKey, unknown> | undefined)?.[step];
    const below = schemas.map(each =>
      typeof step === 'number' ? each.items : each.properties?.[String(step)],
    );
    schemas = below.flatMap(each => (each === undefined ? [] : choices(each, here)));
  }
  return [...new Set(schemas.flatMap(each => Object.keys(each.properties ?? {})))];
}

/** The schemas of which one has to hold, less those for another `type`. */
function choices(schema: JsonSchema, value: unknown): JsonSchema[] {
  const all = [
    schema,
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(each => choices(each, value)),
  ];
  const type = (value as { type?: unknown } | null | undefined)?.type;
  return all.filter(({ properties }) => {
    const fixed = properties?.type?.const;
    return fixed === undefined || fixed === type;
  });
}
