import {
  type ConfigurableType,
  type DeviceCapabilities,
  type DeviceFact,
  deviceFields,
  type Zod,
} from '../../device-type.ts';
import { litLeds } from '../../input/input-event.ts';
import type { MachineServices } from '../../machine-services.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from '../transport-options.ts';
import { VirtioPci } from '../transport-pci.ts';
import { BUS_VIRTUAL } from './event-codes.ts';
import type { InputDescription } from './input-config.ts';
import { keyboardControl, keyboardEvents } from './keyboard.ts';
import { mouseEvents, pointerControl, tabletAxes, tabletEvents } from './pointer.ts';
import { VirtioInput } from './virtio-input.ts';

/** The IDs that QEMU's devices have. */
const VENDOR = 0x0627;
const VERSION = 1;

type Kind = {
  readonly word: 'keyboard' | 'mouse' | 'tablet';
  readonly prefix: string;
  /** One sentence, without its period. */
  readonly description: string;
  readonly pciClass: number;
  readonly product: number;
  /** When the device is created, since few machines load what it needs. */
  readonly reports: () => Pick<InputDescription, 'events' | 'axes'>;
  readonly capabilities: (input: VirtioInput) => DeviceCapabilities;
  readonly facts: (input: VirtioInput) => readonly DeviceFact[];
};

export const virtioKeyboard = inputRow({
  word: 'keyboard',
  prefix: 'vkbd',
  description: 'a keyboard, which receives keys instead of the others once the guest uses it',
  pciClass: 0x090000,
  product: 1,
  reports: () => ({ events: keyboardEvents, axes: new Map() }),
  capabilities: input => ({ keyboard: keyboardControl(input) }),
  facts: ({ leds }) => [{ label: 'lit LEDs', value: litLeds(leds) }],
});

export const virtioMouse = inputRow({
  word: 'mouse',
  prefix: 'vmouse',
  description: 'a mouse with five buttons and a wheel',
  pciClass: 0x090200,
  product: 2,
  reports: () => ({ events: mouseEvents, axes: new Map() }),
  capabilities: input => ({ pointer: pointerControl(input, false) }),
  facts: () => [],
});

export const virtioTablet = inputRow({
  word: 'tablet',
  prefix: 'vtablet',
  description: 'an absolute pointer, which follows that of a VNC client exactly',
  pciClass: 0x098000,
  product: 3,
  reports: () => ({ events: tabletEvents, axes: tabletAxes }),
  capabilities: input => ({ pointer: pointerControl(input, true) }),
  facts: () => [],
});

function inputRow<const Word extends Kind['word']>(kind: Kind & { readonly word: Word }) {
  const { word, prefix, description, pciClass, product, reports, capabilities, facts } = kind;
  const type = `virtio-${word}` as const;
  const options = (z: Zod) =>
    z.strictObject({
      ...deviceFields(z, type),
      ...transportFields(z),
      serial: z
        .string()
        .regex(/^[\x20-\x7e]{1,128}$/, 'a serial number has 1 to 128 printable ASCII characters')
        .optional()
        .describe('its serial number, by which a guest can tell it from others'),
    });
  const row: ConfigurableType<ReturnType<typeof options>> = {
    type,
    title: `virtio ${word}`,
    description,
    bus: 'pci',
    prefix,
    definition: { key: 'inputs', value: type },
    libvirt: { element: 'input', models: [`virtio ${word}`] },
    qemu: {
      devices: [`${type}-pci`, type, `${type}-device`],
      properties: { serial: 'serial', ...TRANSPORT_PROPERTIES },
    },
    config: options,
    queues: () => 2,
    create(services: MachineServices, options, name) {
      const transportFeatures = withTransportFeatures(options);
      const ids = { bus: BUS_VIRTUAL, vendor: VENDOR, product, version: VERSION };
      const details = { name: `vring virtio ${word}`, serial: options.serial, ids, ...reports() };
      const input = new VirtioInput(
        { name, type, pciClass, transportFeatures, description: details },
        services,
      );
      const device = new VirtioPci(input, services);
      return {
        device,
        pci: device.function,
        capabilities: capabilities(input),
        get facts() {
          return facts(input);
        },
      };
    },
  };
  return row;
}
