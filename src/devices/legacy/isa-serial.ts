import { isaDevice } from '../acpi/acpi-parts.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import { charFields, charText } from '../backends/char-fields.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import { buildCom1, com1, SERIAL_PORTS, Serial } from './serial.ts';

/** The ports of COM2 to COM4 on a PC. */
export const COM_PORTS = [
  { name: 'com2', iobase: 0x2f8, irq: 3 },
  { name: 'com3', iobase: 0x3e8, irq: 4 },
  { name: 'com4', iobase: 0x2e8, irq: 3 },
] as const;

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'isa-serial'),
    iobase: z
      .int()
      .min(0x100, 'a port from 0x100 to 0x7ff8')
      .max(0x7ff8, 'a port from 0x100 to 0x7ff8')
      .multipleOf(SERIAL_PORTS, 'a multiple of 8')
      .default(0x2f8)
      .describe('its first of 8 ports: 0x2f8 is COM2, 0x3e8 COM3, 0x2e8 COM4'),
    irq: z
      .int()
      .min(3, 'an interrupt from 3 to 15')
      .max(15, 'an interrupt from 3 to 15')
      .default(3)
      .describe('its ISA interrupt'),
    ...charFields(z, 'console'),
  });

/** A serial port besides COM1. Its console has the device's name. */
export const isaSerial: ConfigurableType<ReturnType<typeof options>> = {
  type: 'isa-serial',
  title: '16550A serial port',
  description: 'another serial port besides COM1, with its own console',
  bus: 'isa',
  backend: 'char',
  prefix: 'serial',
  qemu: { devices: ['isa-serial'], properties: { iobase: 'iobase', irq: 'irq' } },
  config: options,
  create(services, { iobase, irq, chardev }, name) {
    const line = services.interruptLine(irq);
    const backend = services.backends.open('char', { options: chardev, device: name });
    const device = new Serial({ name, port: iobase, line, backend });
    const path =
      COM_PORTS.find(port => port.iobase === iobase)?.name.toUpperCase() ??
      `U${(iobase / SERIAL_PORTS).toString(16).toUpperCase().padStart(3, '0')}`;
    const aml = isaDevice(path, 'PNP0501', ports(iobase, SERIAL_PORTS), isaInterrupt(irq));
    const facts = [
      { label: 'port', value: `0x${iobase.toString(16)}` },
      { label: 'interrupt', value: irq },
      { label: 'connected to', value: backend.label ?? charText(chardev) },
    ];
    return { device, ports: device.ports, acpi: { systemBus: aml }, facts };
  },
};

const com1Options = (z: Zod) => z.strictObject({ ...deviceFields(z, 'com1'), ...charFields(z, 'console') });

/** COM1 of a machine that connects it to something other than the console. */
export const configuredCom1: ConfigurableType<ReturnType<typeof com1Options>> = {
  type: 'com1',
  title: '16550A serial port',
  description: 'COM1, connected to something other than the console of the VM',
  bus: 'isa',
  backend: 'char',
  replaces: com1.type,
  prefix: 'com1-',
  config: com1Options,
  create(services, { chardev }, name) {
    const backend = services.backends.open('char', { options: chardev, device: name });
    return {
      ...buildCom1(services, backend, name),
      facts: [{ label: 'connected to', value: backend.label ?? charText(chardev) }],
    };
  },
};
