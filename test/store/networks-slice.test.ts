import { expect, test } from 'vitest';
import type { InterfaceTraffic, NetworkInfo } from '../../src/host/networks/read.ts';
import { createAppStore } from '../../src/store/app-store.ts';

function network(traffic: InterfaceTraffic | null): NetworkInfo {
  return {
    ...{ name: 'lab', form: 'nat', bridge: 'vr-lab', subnet: '10.9.0.0/24', dhcp: false, dns: true },
    ...{ reservations: [], autostart: false, state: 'up', address: '10.9.0.1', problems: [], dnsmasq: 1 },
    ...{ ports: [], leases: [], traffic },
  };
}

const traffic = (receivedBytes: number): InterfaceTraffic => ({
  ...{ receivedBytes, receivedPackets: receivedBytes / 100, sentBytes: 0, sentPackets: 0 },
});

test('networks have rates from the second read on, and none when their counters restart', () => {
  const store = createAppStore();
  const read = (info: NetworkInfo, at: number) => {
    store.getState().networksRead({ networks: [info], interfaces: [], problems: [] }, at);
    return store.getState().networkRates.get('vr-lab');
  };
  expect(read(network(traffic(1000)), 0)).toBeUndefined();
  expect(read(network(traffic(5000)), 2000)).toMatchObject({ receivedBytes: 2000, receivedPackets: 20 });
  expect(read(network(traffic(300)), 3000)).toBeUndefined();
  expect(read(network(null), 4000)).toBeUndefined();
});
