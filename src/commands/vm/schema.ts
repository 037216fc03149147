import { definitionJsonSchema } from '../../definitions/json-schema.ts';
import { printData } from '../../text/output.ts';

export function printSchema(): void {
  printData(definitionJsonSchema());
}
