import type { ListName } from '../store/screens.ts';
import { printable } from '../text/printable.ts';
import { columnsNamedBy } from './filter.ts';
import { HOST_FIELDS } from './host-lists.ts';
import { IMAGE_COLUMNS } from './image-rows.ts';
import { type Field, fieldNamed } from './list-columns.ts';
import { LOG_FIELDS } from './log-rows.ts';
import { NETWORK_COLUMNS } from './network-rows.ts';
import { QUEUE_COLUMNS } from './queue-rows.ts';
import { VM_COLUMNS } from './vm-columns.ts';

const FIELDS: Readonly<Record<ListName, readonly Field<never>[]>> = {
  ...HOST_FIELDS,
  vms: VM_COLUMNS,
  log: LOG_FIELDS,
  queues: QUEUE_COLUMNS,
  networks: NETWORK_COLUMNS,
  images: IMAGE_COLUMNS,
};

/** The first column named in a filter that the list lacks, so that the term is searched as text; null if none. */
export function unknownColumn(list: ListName, filter: string): string | null {
  const fields = FIELDS[list];
  return columnsNamedBy(filter).find(name => fieldNamed(fields, name) === null) ?? null;
}

/** The status line's remark on a filter; empty without one. */
export function filterRemark(list: ListName | null, filter: string): string {
  if (list === null || filter === '') return '';
  const unknown = unknownColumn(list, filter);
  const remark = unknown === null ? '' : `no column "${printable(unknown)}" here, searched as text; `;
  return `/${filter}  ${remark}Esc clears the filter`;
}

/** Columns without a title are marks, which users do not name. */
function isNamed(field: Field<never> & { readonly title?: string }): boolean {
  return field.cell !== undefined && field.title !== '';
}

/** The text of an empty list. @param subject `Nothing`, `No VM` */
export function noMatchText(list: ListName, filter: string, subject: string): string {
  const unknown = unknownColumn(list, filter);
  if (unknown === null) return `${subject} matches the filter; Esc clears it`;
  const columns = new Set(FIELDS[list].filter(isNamed).map(({ key }) => key));
  return (
    `${subject} matches the filter: this list has no column "${printable(unknown)}", only ${[...columns].join(', ')}; ` +
    'Esc clears it'
  );
}
