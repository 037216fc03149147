import type * as z from 'zod';
import { type AcpiParts, isaDevice } from '../acpi/acpi-parts.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import { macAddressOf, macBytes, macText } from '../backends/mac-address.ts';
import { netFields } from '../backends/net.ts';
import type { NetLimits } from '../backends/net-limits.ts';
import { bootFields } from '../boot-device.ts';
import type { Device, InterruptLine, IoHandler } from '../device.ts';
import { type ConfigurableType, type DeviceFact, deviceFields, type Zod } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import { addNetworkRom, type NetworkRom, romFields } from '../pci/option-rom.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { NicPort } from './nic-port.ts';

/** The parts that the model of a card is built from. */
export type CardParts = {
  readonly name: string;
  /** Its address, 6 bytes. */
  readonly mac: Uint8Array;
  readonly port: NicPort;
  readonly services: MachineServices;
};

/** Names and texts of a card's row. */
type Card<Type extends string> = {
  /** QEMU's name, which definitions and libvirt also use. */
  readonly type: Type;
  /** Other names that QEMU has for such cards. */
  readonly aliases?: readonly string[];
  readonly title: string;
  /** One sentence, without its period. */
  readonly description: string;
};

const pciOptions = <Type extends string>(z: Zod, type: Type) =>
  z.strictObject({ ...deviceFields(z, type), ...netFields(z), ...bootFields(z), ...romFields(z) });

const NIC_PROPERTIES = { netdev: 'network', mac: 'mac' };
const PCI_PROPERTIES = {
  ...NIC_PROPERTIES,
  bootindex: 'bootindex',
  romfile: 'romfile',
  rombar: 'rombar',
};

/** The row of a card on PCI whose model handles its frames itself. */
export function pciNic<Type extends string>({
  rom,
  build,
  acpi,
  ...card
}: Card<Type> & {
  /** The ROM with which firmware boots from it, unless its options select another. */
  readonly rom: NetworkRom;
  readonly build: (parts: CardParts) => Device & { readonly function: PciFunction };
  readonly acpi?: AcpiParts;
}): ConfigurableType<ReturnType<typeof pciOptions<Type>>> {
  return {
    ...namesOf(card, PCI_PROPERTIES),
    bus: 'pci',
    config: zod => pciOptions(zod, card.type),
    create(services, given, name) {
      const options = given as PciOptions;
      const parts = cardParts(card.type, services, options, name);
      const device = build(parts);
      addNetworkRom(device.function, services, options, rom);
      return {
        device,
        pci: device.function,
        ...(acpi && { acpi }),
        boot: {
          ...{ kind: 'network', index: options.bootindex },
          ...{ node: 'ethernet', below: '/ethernet-phy@0' },
        },
        capabilities: { nic: parts.port },
        get facts() {
          return cardFacts(parts);
        },
      };
    },
  };
}

type PciOptions = z.output<ReturnType<typeof pciOptions<string>>>;

/** The resources that an ISA card's jumpers select. */
export type IsaPlace = { readonly iobase: number; readonly irq: number };

type IsaSpace = IsaPlace & {
  /** The number of its ports, a power of two. */
  readonly ports: number;
};

const isaOptions = <Type extends string>(z: Zod, type: Type, { iobase, irq, ports: count }: IsaSpace) =>
  z.strictObject({
    ...deviceFields(z, type),
    ...netFields(z),
    iobase: z
      .int()
      .min(0x100, 'a port from 0x100 on')
      .max(0x1_0000 - count, `at most 0x${(0x1_0000 - count).toString(16)}`)
      .multipleOf(count, `a multiple of ${count}`)
      .default(iobase)
      .describe(`its first of ${count} ports`),
    irq: z
      .int()
      .min(3, 'an interrupt from 3 to 15')
      .max(15, 'an interrupt from 3 to 15')
      .default(irq)
      .describe('its ISA interrupt'),
  });

/** The row of a card on ISA. Guests find it by the ID of its Plug and Play device, or by probing. */
export function isaNic<Type extends string>({
  space,
  pnpId,
  build,
  ...card
}: Card<Type> & {
  readonly space: IsaSpace;
  /** `PNP80D6` */
  readonly pnpId: string;
  readonly build: (parts: CardParts & { readonly line: InterruptLine }) => Device & IoHandler;
}): ConfigurableType<ReturnType<typeof isaOptions<Type>>> {
  return {
    ...namesOf(card, { ...NIC_PROPERTIES, iobase: 'iobase', irq: 'irq' }),
    bus: 'isa',
    config: zod => isaOptions(zod, card.type, space),
    create(services, given, name) {
      const options = given as z.output<ReturnType<typeof isaOptions<string>>>;
      const { iobase, irq } = options;
      const parts = cardParts(card.type, services, options, name);
      const device = build({ ...parts, line: services.interruptLine(irq) });
      const path = `N${iobase.toString(16).toUpperCase().padStart(3, '0').slice(-3)}`;
      return {
        device,
        ports: [{ start: iobase, size: space.ports, handler: device }],
        acpi: { systemBus: isaDevice(path, pnpId, ports(iobase, space.ports), isaInterrupt(irq)) },
        capabilities: { nic: parts.port },
        get facts() {
          return [
            ...cardFacts(parts),
            { label: 'port', value: `0x${iobase.toString(16)}` },
            { label: 'interrupt', value: irq },
          ];
        },
      };
    },
  };
}

function namesOf<Type extends string>(
  { type, aliases = [], title, description }: Card<Type>,
  properties: Readonly<Record<string, string>>,
) {
  const names = [type, ...aliases];
  return {
    ...{ type, title, description },
    backend: 'net',
    prefix: 'net',
    definition: { key: 'nics', value: type },
    qemu: { devices: names, properties },
    libvirt: { element: 'interface', models: names },
    // For counters: received frames, and transmitted frames.
    queues: () => 2,
  } as const;
}

type NetCardOptions = Pick<PciOptions, 'network' | 'mac' | 'link' | 'limits'>;

function cardParts(
  type: string,
  services: MachineServices,
  { network, mac, link, limits = {} }: NetCardOptions,
  name: string,
): CardParts {
  const backend = services.backends.open('net', { device: name, network });
  const port = new NicPort({ name, type, link, limits: limits as NetLimits }, backend, services);
  return { name, mac: macBytes(mac ?? macAddressOf(name)), port, services };
}

function cardFacts({ port, mac }: CardParts): DeviceFact[] {
  return [{ label: 'MAC', value: macText(mac) }, ...port.facts];
}
