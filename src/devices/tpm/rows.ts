import { isaDevice } from '../acpi/acpi-parts.ts';
import { memory32 } from '../acpi/resources.ts';
import { type TpmOptions, tpmFields } from '../backends/tpm.ts';
import type { IoHandler } from '../device.ts';
import { type BuiltDevice, type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import { CONTROL_AREA, CRB_BYTES, TPM_BASE, TpmCrb } from './crb.ts';
import { LOCALITIES } from './localities.ts';
import { LOCALITY_BYTES, TpmTis } from './tis.ts';
import { TpmUnit } from './tpm-unit.ts';

/** The ID by which drivers find a TPM 2.0 (TCG ACPI Specification 1.4 §8). */
const ACPI_ID = 'MSFT0101';
/** The start method of its commands (§7.3, table 9). */
const START_METHOD = { memoryMapped: 6, commandResponseBuffer: 7 } as const;

type Interface = {
  readonly handler: IoHandler;
  readonly size: number;
  readonly startMethod: number;
  /** The address; 0 if it has none. */
  readonly controlArea: number;
};

type Made = BuiltDevice['device'] & { readonly handler: IoHandler };

function built(
  services: MachineServices,
  { tpm }: { readonly tpm: TpmOptions },
  name: string,
  make: (unit: TpmUnit) => Made,
  { size, startMethod, controlArea }: Omit<Interface, 'handler'>,
): BuiltDevice {
  const backend = services.backends.open('tpm', { options: tpm, device: name });
  const device = make(new TpmUnit(backend, services.statistic({ device: name, name: 'commands' })));
  return {
    device,
    memory: [{ start: TPM_BASE, size, handler: device.handler }],
    acpi: {
      systemBus: isaDevice('TPM_', ACPI_ID, memory32(TPM_BASE, size)),
      tpm2: { startMethod, controlArea },
    },
    facts: [{ label: 'TPM', value: backend.label }],
  };
}

const tisOptions = (z: Zod) => z.strictObject({ ...deviceFields(z, 'tpm-tis'), ...tpmFields(z) });

export const tpmTis: ConfigurableType<ReturnType<typeof tisOptions>> = {
  type: 'tpm-tis',
  title: 'TPM 2.0 (TIS)',
  description: 'a Trusted Platform Module with the FIFO interface, which all systems know',
  bus: 'isa',
  prefix: 'tpm',
  single: true,
  backend: 'tpm',
  definition: { key: 'tpm', value: 'tis' },
  libvirt: { element: 'tpm', models: ['tpm-tis'] },
  qemu: { devices: ['tpm-tis'], properties: { tpmdev: 'tpm' } },
  config: tisOptions,
  create: (services, options, name) =>
    built(services, options, name, unit => new TpmTis(name, unit), {
      ...{ size: LOCALITIES * LOCALITY_BYTES, startMethod: START_METHOD.memoryMapped, controlArea: 0 },
    }),
};

const crbOptions = (z: Zod) => z.strictObject({ ...deviceFields(z, 'tpm-crb'), ...tpmFields(z) });

export const tpmCrb: ConfigurableType<ReturnType<typeof crbOptions>> = {
  type: 'tpm-crb',
  title: 'TPM 2.0 (CRB)',
  description: 'a Trusted Platform Module with a command response buffer, the newer interface',
  bus: 'isa',
  prefix: 'tpm',
  single: true,
  backend: 'tpm',
  definition: { key: 'tpm', value: 'crb' },
  libvirt: { element: 'tpm', models: ['tpm-crb'] },
  qemu: { devices: ['tpm-crb'], properties: { tpmdev: 'tpm' } },
  config: crbOptions,
  create: (services, options, name) =>
    built(services, options, name, unit => new TpmCrb(name, unit), {
      ...{ size: CRB_BYTES, startMethod: START_METHOD.commandResponseBuffer },
      controlArea: TPM_BASE + CONTROL_AREA,
    }),
};
