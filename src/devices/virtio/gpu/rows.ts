import { type ConfigurableType, type DeviceFact, deviceFields, type Zod } from '../../device-type.ts';
import { monitorFields, vgaFields } from '../../display/vga/fields.ts';
import { builtVga } from '../../display/vga/vga.ts';
import { addVgaBios } from '../../display/vga/vga-bios.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from '../transport-options.ts';
import { GpuAdapter } from './adapter.ts';

const MiB = 2 ** 20;

const gpuFields = (z: Zod) => ({
  ...transportFields(z),
  ...monitorFields(z),
  'max-hostmem': z
    .int()
    .min(MiB, 'at least 1 MiB')
    .max(1024 * MiB, 'at most 1 GiB')
    .default(256 * MiB)
    .describe('bytes of the memory of the host that pictures may take'),
});

const PROPERTIES = {
  ...{ xres: 'xres', yres: 'yres', edid: 'edid', max_hostmem: 'max-hostmem' },
  ...TRANSPORT_PROPERTIES,
} as const;

const gpuOptions = (z: Zod) => z.strictObject({ ...deviceFields(z, 'virtio-gpu'), ...gpuFields(z) });

export const virtioGpu: ConfigurableType<ReturnType<typeof gpuOptions>> = {
  type: 'virtio-gpu',
  title: 'virtio GPU',
  description:
    'a screen for guests with a driver for it, and of any size: nothing is shown before the driver starts',
  bus: 'pci',
  hotplug: false,
  prefix: 'gpu',
  definition: { key: 'display', value: 'virtio-gpu' },
  qemu: { devices: ['virtio-gpu-pci', 'virtio-gpu', 'virtio-gpu-device'], properties: PROPERTIES },
  config: gpuOptions,
  queues: () => 2,
  create(services, options, name) {
    const { xres, yres, edid, 'max-hostmem': hostMemory } = options;
    const device = new GpuAdapter(
      {
        ...{ name, type: 'virtio-gpu', monitor: { width: xres, height: yres }, edid, hostMemory },
        ...{ transportFeatures: withTransportFeatures(options), vgaMemory: null },
      },
      services,
    );
    return {
      device,
      pci: device.function,
      capabilities: { screen: device.control },
      facts: [hostMemoryFact(hostMemory)],
    };
  },
};

const vgaOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'virtio-vga'),
    ...gpuFields(z),
    ...vgaFields(z, { memory: 8, bios: 'vgabios-virtio.bin' }),
  });

export const virtioVga: ConfigurableType<ReturnType<typeof vgaOptions>> = {
  type: 'virtio-vga',
  title: 'virtio GPU with a VGA',
  description: 'a screen: a standard VGA until the driver of a virtio GPU starts',
  bus: 'pci',
  hotplug: false,
  prefix: 'gpu',
  definition: { key: 'display', value: 'virtio' },
  libvirt: { element: 'video', models: ['virtio'] },
  qemu: {
    devices: ['virtio-vga'],
    properties: { ...PROPERTIES, vgamem_mb: 'vgamem', romfile: 'romfile', rombar: 'rombar' },
  },
  config: vgaOptions,
  queues: () => 2,
  create(services, options, name) {
    const { xres, yres, edid, 'max-hostmem': hostMemory, vgamem, romfile, rombar } = options;
    const device = new GpuAdapter(
      {
        ...{ name, type: 'virtio-vga', monitor: { width: xres, height: yres }, edid, hostMemory },
        ...{ transportFeatures: withTransportFeatures(options), vgaMemory: vgamem * MiB },
      },
      services,
    );
    addVgaBios(device.function, services, { romfile, rombar }, 'vgabios-virtio.bin');
    return {
      ...builtVga(device, device.function, device.vga!),
      capabilities: { screen: device.control },
      facts: [{ label: 'memory', value: vgamem * MiB, unit: 'bytes' }, hostMemoryFact(hostMemory)],
    };
  },
};

function hostMemoryFact(bytes: number): DeviceFact {
  return { label: 'host memory at most', value: bytes, unit: 'bytes' };
}
