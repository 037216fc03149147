import type { JsonSchema } from './json-schema.ts';

/**
 * The keys that a schema allows at a path.
 * @param value the whole value: where a `type` selects one of several schemas, its keys are returned
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

/** The alternatives, without those for another `type`. */
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
