import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { ControlServer } from '../../../src/engine/remote/server.ts';
import { builtFile } from '../../../src/project-root.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { NO_MANAGER, RawClient, Rig } from '../../support/remote-rig.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const VMS = 10;
const BUDGET_PER_SECOND = 2048;
const SAMPLE = /"method":"sample"/g;

/** Subscribed to everything, and sampling at `intervalMs`. @returns bytes received for each sample, without the first two. */
async function bytesPerSample(
  client: RawClient,
  intervalMs: number,
  settings: { readonly detailOf?: string; readonly queues?: boolean } = {},
): Promise<number> {
  const samples = () => client.received.match(SAMPLE)?.length ?? 0;
  client.hello();
  client.send({ id: 1, method: 'subscribe' });
  client.send({
    id: 2,
    method: 'sampling/open',
    params: { sampling: 1, intervalMs, paused: false, detailOf: null, ...settings },
  });
  await until(() => samples() >= 2);
  const [before, first] = [client.received.length, samples()];
  await until(() => samples() >= first + 5);
  return (client.received.length - before) / (samples() - first);
}

/** A busy server: no two of its numbers are equal, and all of them change. */
function busy(index: number) {
  const rate = (base: number) => base * (1 + index / 7.3);
  return {
    vcpus: [0, 1].map(() => ({
      exits: {
        2: { perSecond: rate(2345.7), nsEach: 1900 },
        6: { perSecond: rate(345.67), nsEach: 2100 },
        10: { perSecond: rate(87.65), nsEach: 800 },
      },
      guest: 0.04 * (index + 1),
      kvm: 0.013,
    })),
    queues: ['requests', 'second'].map(queue => ({
      device: 'virtio-blk-0',
      type: 'virtio-blk',
      queue,
      requests: rate(1234.5),
      kicks: rate(432.1),
      interrupts: rate(321.9),
      bytesToGuest: rate(12_345_678.9),
      bytesFromGuest: rate(2_345_678.9),
      inFlight: 3,
      bucket: 16,
    })),
    regions: [{ device: 'serial', start: 0x3f8, reads: rate(100.3), writes: rate(200.7) }],
  };
}

describe(`${VMS} VMs watched once a second`, () => {
  test(`take at most ${BUDGET_PER_SECOND} bytes a second in the list, and in detail`, async () => {
    const rig = await Rig.start();
    for (let index = 0; index < VMS; index++) rig.engine.add(`production-web-server-${index}`, busy(index));
    const list = await bytesPerSample(await rig.raw(), 300);
    const detail = await bytesPerSample(await rig.raw(), 300, { detailOf: 'production-web-server-3' });
    const queues = await bytesPerSample(await rig.raw(), 300, { queues: true });
    console.log(
      `bytes a sample: ${list.toFixed(0)} for the list, ${detail.toFixed(0)} with details of one, ${queues.toFixed(0)} with all queues`,
    );
    expect(list).toBeLessThanOrEqual(BUDGET_PER_SECOND);
    expect(detail).toBeLessThanOrEqual(BUDGET_PER_SECOND);
    // Twenty queues whose numbers all change.
    expect(queues).toBeLessThanOrEqual(BUDGET_PER_SECOND);
    expect(queues).toBeGreaterThan(list + VMS * 2 * 20);
    // The samples had numbers; they were not empty.
    expect(list).toBeGreaterThan(VMS * 20);
  });

  test('take almost nothing when nothing changes', async () => {
    const rig = await Rig.start();
    for (let index = 0; index < VMS; index++)
      rig.engine.add(`idle-${index}`, { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] });
    expect(await bytesPerSample(await rig.raw(), 100)).toBeLessThanOrEqual(150);
  });

  test.skipIf(noKvm !== null)(
    onKvm('stay within the budget with real guests'),
    { timeout: 60_000 },
    async () => {
      const engine = new LocalEngine();
      const server = new ControlServer(engine, NO_MANAGER);
      const path = join(temporaryFolder(), 'control.sock');
      await server.listen(path);
      try {
        for (let index = 0; index < VMS; index++) {
          await engine.start({
            name: `guest-${index}`,
            memory: { bytes: 32 * 2 ** 20 },
            boot: { kind: 'kernel', path: builtFile('guest.elf'), append: 'run="demo"' },
            devices: [{ type: 'virtio-rng' }],
          });
        }
        const client = new RawClient(connect(path));
        const bytes = await bytesPerSample(client, 1000);
        console.log(`bytes a second: ${bytes.toFixed(0)} with ${VMS} real guests`);
        expect(bytes).toBeLessThanOrEqual(BUDGET_PER_SECOND);
        client.socket.destroy();
      } finally {
        await server.close('the test is over');
        await engine.close();
      }
    },
  );
});
