import { definitionJsonSchema } from '../../definitions/json-schema.ts';

export function printSchema(): void {
  console.log(JSON.stringify(definitionJsonSchema(), null, 2));
}
