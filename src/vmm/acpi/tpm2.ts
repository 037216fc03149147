import type { AcpiParts } from '../../devices/acpi/acpi-parts.ts';
import { concat, little } from '../../devices/acpi/aml.ts';
import { systemTable } from './table.ts';

/** The log area for firmware's measurements: the minimum size required, and the offset of its address in the table. */
export const TPM2_LOG = { bytes: 0x1_0000, pointer: 68 } as const;

/** Parameters of the start method; there are none. */
const PARAMETERS = new Uint8Array(12);

/**
 * The table of a TPM 2.0 (TCG ACPI Specification 1.4 §7.3), revision 4, of a client platform.
 * @param hasLog its address is filled in later
 */
export function tpm2(
  { startMethod, controlArea }: NonNullable<AcpiParts['tpm2']>,
  hasLog: boolean,
): Uint8Array {
  const log = hasLog ? [little(TPM2_LOG.bytes, 4), little(0, 8)] : [];
  const body = concat(
    little(0, 2),
    little(0, 2),
    little(controlArea, 8),
    little(startMethod, 4),
    PARAMETERS,
    ...log,
  );
  return systemTable('TPM2', 4, body);
}
