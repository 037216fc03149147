import type * as z from 'zod';
import type { Zod } from '../zod.ts';
import { FEATURE } from './features.ts';

/** The transport and ring options of a virtio device, by QEMU's names with hyphens. */
export function transportFields(z: Zod) {
  const option = (description: string, byDefault: boolean) =>
    z
      .boolean()
      .optional()
      .meta({ description: `${description} (default: ${byDefault ? 'on' : 'off'})`, examples: [!byDefault] });
  return {
    packed: option('packed virtqueues (virtio 1.3 §2.8)', false),
    'event-idx': option('notifications by index, which avoid kicks and interrupts', true),
    'indirect-desc': option('tables of descriptors outside the ring', true),
    'queue-reset': option('resets of single queues', true),
    'iommu-platform': option("addresses of the platform's DMA interface", false),
  };
}

export type TransportOptions = z.output<z.ZodObject<ReturnType<typeof transportFields>>>;

/** QEMU's properties for these options. */
export const TRANSPORT_PROPERTIES = {
  packed: 'packed',
  event_idx: 'event-idx',
  indirect_desc: 'indirect-desc',
  queue_reset: 'queue-reset',
  iommu_platform: 'iommu-platform',
} as const;

/** The features of a device whose queues are served by native threads, except those that its options disable. */
export function withTransportFeatures({
  packed = false,
  'event-idx': eventIdx = true,
  'indirect-desc': indirectDesc = true,
  'queue-reset': queueReset = true,
  'iommu-platform': iommuPlatform = false,
}: TransportOptions): bigint {
  return (
    (packed ? FEATURE.ringPacked : 0n) |
    (eventIdx ? FEATURE.ringEventIdx : 0n) |
    (indirectDesc ? FEATURE.ringIndirectDesc : 0n) |
    (queueReset ? FEATURE.ringReset : 0n) |
    (iommuPlatform ? FEATURE.accessPlatform : 0n)
  );
}
