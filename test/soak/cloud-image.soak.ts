import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../rig/emulated-host.ts';
import { missingForRig } from '../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** How long each step may take on a busy machine, in seconds. */
const SECONDS = 900;
const TIMEOUT = { timeout: 3 * SECONDS * 1000 };
const GiB = 2 ** 30;

type Listed = { vms: { name: string; nics: { addresses?: string[] }[] }[] };

describe.skipIf(missing !== null)('a VM made from a cloud image', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      modules: ['kvm-amd', 'tun', 'bridge', 'vhost_net'],
      guestDevices: true,
      firmware: true,
      cloudImage: true,
    });
    await host.startManager();
    await host.check('ssh-keygen -q -t ed25519 -N "" -f /root/key');
    await vring('net create default');
  }, 1_200_000);

  afterAll(async () => {
    await host?.close();
  });

  const vring = (args: string) => host.check(`vring ${args}`, { seconds: SECONDS });

  /** Waits until the guest has an address of the network. */
  async function address(vm: string): Promise<string> {
    for (;;) {
      const { vms } = JSON.parse(await vring('vm list --json')) as Listed;
      const [first] = vms.find(({ name }) => name === vm)!.nics[0]!.addresses ?? [];
      if (first !== undefined) return first;
      await host.check('sleep 2');
    }
  }

  /** Runs a command in the guest as soon as its SSH server takes the key. */
  async function ssh(user: string, to: string, command: string): Promise<string> {
    const options =
      '-i /root/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null';
    return await host.check(
      `until ssh ${options} -o LogLevel=ERROR -o ConnectTimeout=60 ${user}@${to} true; do sleep 2; done
       ssh ${options} -o LogLevel=ERROR ${user}@${to} '${command}'`,
      { seconds: SECONDS },
    );
  }

  test(
    'starts by its GRUB, sets itself up, and takes a login by SSH over a NAT network',
    TIMEOUT,
    async () => {
      await vring(
        `vm create my_web --cloud-image /boot/cloud.qcow2 --disk-size 2G --memory 768M --user ada --ssh-key /root/key.pub --network network:default`,
      );
      await vring('vm start my_web');
      const guest = await address('my_web');
      expect(guest).toMatch(/^192\.168\.150\./);
      expect(await vring('vm list')).toContain(guest);
      expect(
        (await ssh('ada', guest, 'cloud-init status --wait >&2; id -un; hostname; sudo id -u')).trim(),
      ).toBe('ada\nmy-web\n0');
      const bytes = Number(await ssh('ada', guest, 'df -B1 --output=size / | tail -1'));
      expect(bytes).toBeGreaterThan(1.8 * GiB);
    },
  );
});
