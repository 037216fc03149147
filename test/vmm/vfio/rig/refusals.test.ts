import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { missingForRig } from '../../../rig/tools.ts';
import { refusal } from './refusal.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('a VM that is to have a device, on a host without an IOMMU', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      devices: ['e1000e'],
      modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1'],
    });
    await host.startManager();
  }, 400_000);

  afterAll(async () => {
    await host?.close();
  });

  test('does not start, and says what the host lacks', async () => {
    expect(await refusal(host, '0000:01:00.0')).toMatch(/0000:01:00\.0: .*IOMMU/);
  }, 600_000);
});
