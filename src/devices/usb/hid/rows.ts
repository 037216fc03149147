import { type BuiltDevice, type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { litLeds } from '../../input/input-event.ts';
import type { MachineServices } from '../../machine-services.ts';
import { BOOT, HidDevice, type HidOptions } from './hid-device.ts';
import { KeyboardReports } from './keyboard.ts';
import { PointerReports } from './pointer.ts';

type InputType = 'usb-kbd' | 'usb-mouse' | 'usb-tablet';

type Input = {
  readonly type: InputType;
  readonly prefix: string;
  readonly title: string;
  /** One sentence, without its period. */
  readonly description: string;
  /** Its name in `inputs` and in libvirt. */
  readonly word: 'keyboard' | 'mouse' | 'tablet';
  readonly build: (parts: Omit<HidOptions, 'product' | 'boot' | 'reports'>) => BuiltDevice;
};

export const usbKeyboard = inputRow({
  type: 'usb-kbd',
  prefix: 'kbd',
  title: 'USB keyboard',
  description: 'a keyboard, which receives keys instead of the PS/2 keyboard once the guest uses it',
  word: 'keyboard',
  build: parts => {
    const reports = new KeyboardReports(() => device.changed());
    const device = new HidDevice({ ...parts, product: 'USB keyboard', boot: BOOT.keyboard, reports });
    return {
      device,
      usb: device,
      capabilities: { keyboard: reports },
      get facts() {
        return [{ label: 'lit LEDs', value: litLeds(reports.leds) }];
      },
    };
  },
});

export const usbMouse = inputRow({
  type: 'usb-mouse',
  prefix: 'mouse',
  title: 'USB mouse',
  description: 'a mouse with five buttons and a wheel',
  word: 'mouse',
  build: parts => pointer('mouse', parts),
});

export const usbTablet = inputRow({
  type: 'usb-tablet',
  prefix: 'tablet',
  title: 'USB tablet',
  description: 'an absolute pointer, which follows that of a VNC client exactly',
  word: 'tablet',
  build: parts => pointer('tablet', parts),
});

function pointer(
  kind: 'mouse' | 'tablet',
  parts: Omit<HidOptions, 'product' | 'boot' | 'reports'>,
): BuiltDevice {
  const reports = new PointerReports(kind, () => device.changed());
  const boot = kind === 'mouse' ? BOOT.mouse : BOOT.none;
  const device = new HidDevice({ ...parts, product: `USB ${kind}`, boot, reports });
  return { device, usb: device, capabilities: { pointer: reports } };
}

function inputRow({ type, prefix, title, description, word, build }: Input) {
  const options = (z: Zod) => z.strictObject(deviceFields(z, type));
  const row: ConfigurableType<ReturnType<typeof options>> = {
    ...{ type, prefix, title, description },
    bus: 'usb',
    definition: { key: 'inputs', value: word },
    libvirt: { element: 'input', models: [`usb ${word}`] },
    qemu: { devices: [type], properties: {} },
    config: options,
    create: (services: MachineServices, _options, name) =>
      build({
        name,
        clock: services.clock,
        statistic: services.statistic({ device: name, name: 'reports' }),
      }),
  };
  return row;
}
