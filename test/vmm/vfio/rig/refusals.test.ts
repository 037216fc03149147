import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PciDevice } from '../../../rig/devices.ts';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { HOST_STATE } from '../../../rig/host-state.ts';
import { missingForRig } from '../../../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** A VM without a Linux, which is not needed to refuse its start. */
const SPINNING = `-m 64 -kernel /opt/vring/dist/guest.elf -append 'run="spin 600s"'`;

/** An emulated host whose devices are as before after each refused start. */
class RefusingHost {
  #host: EmulatedHost | undefined;
  #before = '';

  async boot(devices: readonly PciDevice[]): Promise<void> {
    this.#host = await EmulatedHost.boot({ devices, modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1'] });
    this.#before = await this.host.check(HOST_STATE);
    await this.host.startManager();
  }

  get host(): EmulatedHost {
    if (this.#host === undefined) throw new Error('it was not booted');
    return this.#host;
  }

  /** Starts a VM with a device. @returns why it was refused */
  async refusal(device: string, { before = 'true', after = 'true' } = {}): Promise<string> {
    const start = `vring run --detach --name refused ${SPINNING} -device vfio-pci,host=${device}`;
    const { status, stdout, stderr } = await this.host.run(
      `${before}; ${start}; status=$?; ${after}; exit $status`,
      {
        seconds: 400,
      },
    );
    expect({ status, stdout }, stderr).toEqual({ status: 1, stdout: '' });
    expect(await this.host.check(HOST_STATE)).toBe(this.#before);
    return stderr;
  }

  async close(): Promise<void> {
    await this.#host?.close();
  }
}

describe.skipIf(missing !== null)('a VM that is to have a device, on a host without an IOMMU', () => {
  const refusing = new RefusingHost();
  beforeAll(() => refusing.boot(['e1000e']), 400_000);
  afterAll(() => refusing.close());

  test('does not start, and says what the host lacks', async () => {
    expect(await refusing.refusal('0000:01:00.0')).toMatch(/0000:01:00\.0: .*IOMMU/);
  }, 600_000);
});
