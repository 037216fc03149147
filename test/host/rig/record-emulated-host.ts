// Records the emulated host for the tests that need no emulator: node test/host/rig/record-emulated-host.ts

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { PCI_DEVICES } from '../../rig/devices.ts';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { packTree } from '../trees/recorded/recorded-tree.ts';
import { installReader, reader } from './reader-bundle.ts';

const target = path.join(import.meta.dirname, '../trees/recorded/emulated-host.tree');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vring-recording-'));
const host = await EmulatedHost.boot({ devices: PCI_DEVICES, modules: ['vfio-pci', 'igbvf'] });
try {
  await installReader(host);
  const archive = await host.check(
    `
      cd /sys/bus/pci/devices/$(basename $(readlink /sys/bus/pci/drivers/igb/0000:*))
      echo 2 >sriov_numvfs
      echo vfio-pci >virtfn1/driver_override
      basename $(readlink virtfn1) >virtfn1/driver/unbind
      basename $(readlink virtfn1) >/sys/bus/pci/drivers_probe
      node ${reader} record /tmp/recording >/dev/null
      # The names of all PCI devices there are would be most of it.
      find /tmp/recording -name pci.ids -exec rm {} +
      tar -C /tmp/recording -cf - . | gzip | base64`,
    { seconds: 180 },
  );
  await execa({ input: Buffer.from(archive, 'base64') })`tar -xzf - -C ${directory}`;
  fs.writeFileSync(target, packTree(directory));
} finally {
  await host.close();
  fs.rmSync(directory, { recursive: true, force: true });
}
