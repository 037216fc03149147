import { expect, test } from 'vitest';
import { definitionJsonSchema, type JsonSchema } from '../../src/definitions/json-schema.ts';
import { definitionsMarkdown } from '../../src/definitions/markdown.ts';
import { definition } from '../../src/definitions/schema.ts';

/** Every mapping of a schema. */
function mappings(schema: JsonSchema): JsonSchema[] {
  const below = [...Object.values(schema.properties ?? {}), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (schema.items) below.push(schema.items);
  return [...(schema.type === 'object' ? [schema] : []), ...below.flatMap(mappings)];
}

test('the JSON Schema has every key, allows no others, and describes each', () => {
  const schema = definitionJsonSchema();
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  expect(Object.keys(schema.properties!)).toEqual(Object.keys(definition.shape));
  expect(schema.required).toEqual(['name']);
  const { devices, ...own } = schema.properties!;
  const [known, ofModule] = devices!.items!.anyOf!;
  for (const { additionalProperties } of mappings({ ...schema, properties: { ...own, known: known! } }))
    expect(additionalProperties).toBe(false);
  // Only a device module knows its options.
  expect(ofModule!.additionalProperties).toEqual({ type: ['string', 'number', 'boolean'] });
  for (const { properties } of mappings({ ...schema, properties: own })) {
    for (const [key, { description }] of Object.entries(properties!))
      expect(description, key).toMatch(/[.]$/);
  }
});

test('patterns are valid in JSON Schema: they need no flags', () => {
  const patterns = JSON.stringify(definitionJsonSchema()).match(/"pattern":"(?:[^"\\]|\\.)*"/g)!;
  expect(patterns.length).toBeGreaterThan(5);
  for (const pattern of patterns)
    expect(() => new RegExp(JSON.parse(`{${pattern}}`).pattern, 'u')).not.toThrow();
  const { memory } = definitionJsonSchema().properties!;
  const size = memory!.anyOf![0]!.anyOf![0]!.pattern!;
  expect('2g').toMatch(new RegExp(size));
});

test('docs/definitions.md is generated from it (vitest -u writes it)', async () => {
  await expect(definitionsMarkdown()).toMatchFileSnapshot('../../docs/definitions.md');
});
