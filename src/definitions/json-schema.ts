import * as z from 'zod';
import { definition } from './schema.ts';

/** The part of JSON Schema that describes definitions. */
export type JsonSchema = {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
};

let made: JsonSchema | undefined;

/** The JSON Schema (2020-12) of a definition file: for editors, and the source of docs/definitions.md. */
export function definitionJsonSchema(): JsonSchema {
  made ??= {
    title: 'vring VM definition',
    ...(z.toJSONSchema(definition, { io: 'input', override: withExamples }) as JsonSchema),
  };
  return made;
}

/** The library drops the examples of transformed values, since they might be of the output; ours are of the input. */
function withExamples({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodType;
  jsonSchema: { examples?: unknown };
}): void {
  const examples = z.globalRegistry.get(zodSchema)?.examples;
  if (examples !== undefined) jsonSchema.examples ??= examples;
}
