import { DEFAULT_LAYOUT, LAYOUT_NAMES, type LayoutName } from '../../devices/input/layout-names.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { printable } from '../../text/printable.ts';
import { UsageError } from '../../text/usage-error.ts';

/**
 * The default layout of a guest's keyboard: from the VM's definition (`graphics.layout`), else VRING_LAYOUT, else us.
 * @throws UsageError for an unknown VRING_LAYOUT
 */
export function preferredLayout({ vnc }: Pick<VmInfo, 'vnc'>, env = process.env): LayoutName {
  const given = env.VRING_LAYOUT;
  if (vnc?.layout !== undefined) return vnc.layout;
  if (given === undefined || given === '') return DEFAULT_LAYOUT;
  const found = LAYOUT_NAMES.find(name => name === given);
  if (found === undefined)
    throw new UsageError(`VRING_LAYOUT=${printable(given)}: expected one of ${LAYOUT_NAMES.join(', ')}`);
  return found;
}
