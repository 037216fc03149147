import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { XhciController } from './controller.ts';
import { PORTS } from './registers.ts';

const options = (z: Zod) => z.strictObject(deviceFields(z, 'qemu-xhci'));

export const qemuXhci: ConfigurableType<ReturnType<typeof options>> = {
  type: 'qemu-xhci',
  title: 'USB controller (xHCI)',
  description: `an xHCI host controller with ${PORTS} ports, for keyboards, pointers and disks`,
  bus: 'pci',
  provides: { kind: 'usb', first: 1, units: PORTS },
  prefix: 'usb',
  libvirt: { element: 'controller', models: ['qemu-xhci', 'nec-xhci'] },
  qemu: { devices: ['qemu-xhci', 'nec-usb-xhci'], properties: {} },
  config: options,
  create(services, _options, name) {
    const controller = new XhciController(name, services);
    return {
      device: controller,
      pci: controller.function,
      bus: controller.hub,
      get facts() {
        return [
          { label: 'ports', value: PORTS },
          ...controller.hub.connected.map(({ port, product }) => ({ label: `port ${port}`, value: product })),
        ];
      },
    };
  },
};
