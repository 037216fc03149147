import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { HostRoot } from '../../../src/host/root.ts';
import { networkObstacle, networkWords, readNetworkChoices } from '../../../src/host/use/network-choices.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

test('lists what network cards can be connected to', () => {
  const folder = temporaryFolder();
  const make = (file: string) => {
    fs.mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), '');
  };
  for (const entry of ['br10/bridge/x', 'br2/bridge/x', 'eth0/device/x', 'vnet0/operstate', 'lo/operstate'])
    make(`sys/class/net/${entry}`);
  for (const name of ['default.yaml', 'default.yaml~', 'notes.txt']) make(`etc/vring/networks/${name}`);
  make('usr/bin/passt');
  const choices = readNetworkChoices(new HostRoot(folder));
  expect(choices).toEqual({
    bridges: ['br2', 'br10'],
    interfaces: ['eth0'],
    networks: ['default'],
    passt: true,
  });
  expect(networkWords(choices)).toEqual([
    ...['user', 'network:default', 'bridge:br2', 'bridge:br10', 'macvtap:eth0', 'tap', 'passt', 'none'],
  ]);
  expect(networkObstacle(choices, { type: 'bridge', bridge: 'br2' })).toBeNull();
  expect(networkObstacle(choices, { type: 'bridge', bridge: 'br9' })).toBe(
    'there is no bridge br9: there is br2, br10',
  );
  expect(networkObstacle(choices, { type: 'network', name: 'lan' })).toBe(
    'there is no network lan: there is default',
  );
  expect(networkObstacle(choices, { type: 'user' })).toBeNull();
  const nothing = readNetworkChoices(new HostRoot(temporaryFolder()));
  expect(networkWords(nothing)).toEqual(['user', 'tap', 'none']);
  expect(networkObstacle(nothing, { type: 'bridge', bridge: 'br0' })).toBe(
    'there is no bridge br0: this host has no bridges',
  );
});
