import { charFields, charText } from '../../backends/char-fields.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { transportFields, withTransportFeatures } from '../transport-options.ts';
import { VirtioPci } from '../transport-pci.ts';
import { SerialPort } from './port.ts';
import { queuesOf, VirtioSerial } from './serial.ts';

/** As in QEMU: port 0 and 30 more. */
const MAX_PORTS = 31;
const DEFAULT_PORTS = 4;

const serialOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-serial'),
    ...transportFields(z),
    'max-ports': z
      .int()
      .min(1, 'at least 1 port')
      .max(MAX_PORTS, `at most ${MAX_PORTS} ports`)
      .default(DEFAULT_PORTS)
      .describe('ports that it has room for, the first of which is for a console; each has two queues'),
  });

export const virtioSerial: ConfigurableType<ReturnType<typeof serialOptions>> = {
  type: 'virtio-serial',
  title: 'virtio serial controller',
  description: 'a bus for virtio consoles and serial ports',
  bus: 'pci',
  provides: { kind: 'virtio-serial', first: 0, units: MAX_PORTS },
  prefix: 'vserial',
  config: serialOptions,
  queues: ({ 'max-ports': ports }) => queuesOf(ports),
  create(services, options, name) {
    const serial = new VirtioSerial(name, options['max-ports'], withTransportFeatures(options), services);
    const device = new VirtioPci(serial, services);
    return {
      device,
      pci: device.function,
      bus: serial.bus,
      facts: [{ label: 'ports', value: options['max-ports'] }],
    };
  },
};

const consoleOptions = (z: Zod) =>
  z.strictObject({ ...deviceFields(z, 'virtconsole'), ...charFields(z, 'console') });

export const virtConsole: ConfigurableType<ReturnType<typeof consoleOptions>> = {
  type: 'virtconsole',
  title: 'virtio console',
  description: 'a console of a virtio serial controller, which Linux calls hvc0',
  bus: 'virtio-serial',
  backend: 'char',
  definition: { key: 'console', value: 'virtio' },
  prefix: 'hvc',
  qemu: { devices: ['virtconsole'], properties: {} },
  config: consoleOptions,
  create(services, options, name) {
    const backend = services.backends.open('char', { options: options.chardev, device: name });
    const port = new SerialPort({ name, isConsole: true, portName: '', backend });
    return {
      device: port,
      serialPort: port,
      get facts() {
        return [
          { label: 'connected to', value: backend.label ?? charText(options.chardev) },
          { label: 'open in the guest', value: port.guestOpen },
        ];
      },
    };
  },
};

/** The length that Linux's drivers accept. */
const PORT_NAME = /^[\x21-\x7e]{1,200}$/;

const portOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtserialport'),
    port: z
      .string()
      .regex(PORT_NAME, 'a port name has 1 to 200 printable ASCII characters, and no blanks')
      .optional()
      .describe('the name by which the guest finds it: /dev/virtio-ports/org.qemu.guest_agent.0'),
    ...charFields(z, 'null'),
  });

export const virtSerialPort: ConfigurableType<ReturnType<typeof portOptions>> = {
  type: 'virtserialport',
  title: 'virtio serial port',
  description: 'a named port of a virtio serial controller, between programs of guest and host',
  bus: 'virtio-serial',
  backend: 'char',
  definition: { key: 'channels' },
  prefix: 'vport',
  qemu: { devices: ['virtserialport'], properties: { name: 'port' } },
  config: portOptions,
  create(services, options, name) {
    const { port: portName = '' } = options;
    const backend = services.backends.open('char', { options: options.chardev, device: name });
    const port = new SerialPort({ name, isConsole: false, portName, backend });
    return {
      device: port,
      serialPort: port,
      get facts() {
        return [
          ...(portName === '' ? [] : [{ label: 'port', value: portName } as const]),
          { label: 'connected to', value: backend.label ?? charText(options.chardev) },
          { label: 'open in the guest', value: port.guestOpen },
        ];
      },
    };
  },
};
