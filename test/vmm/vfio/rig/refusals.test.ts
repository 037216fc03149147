import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { missingForRig } from '../../../rig/tools.ts';
import { refusal } from './refusal.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('a VM with a device on a host without the prerequisites', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      devices: ['e1000e'],
      modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1'],
    });
    await host.startManager(
      `ulimit -l 8192; /bin/setpriv --bounding-set=-sys_resource,-ipc_lock --inh-caps=-sys_resource,-ipc_lock`,
    );
  }, 400_000);

  afterAll(async () => {
    await host?.close();
  });

  test('does not start, and reports everything missing: an IOMMU, and lockable memory', async () => {
    const reasons = await refusal(host, '0000:01:00.0');
    expect(reasons).toMatch(/0000:01:00\.0: .*IOMMU/);
    expect(reasons).toMatch(
      /refused must lock 64 MiB, but this user may lock 8 MiB \(RLIMIT_MEMLOCK\).*LimitMEMLOCK=infinity/,
    );
  }, 600_000);
});
