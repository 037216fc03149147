import { isAlive } from '../../engine/vm-info.ts';
import type { Family } from './metric.ts';

/** Host PCI functions, while VMs have them. */
export const HOST_DEVICE_METRICS: readonly Family[] = [
  {
    name: 'vring_host_device',
    type: 'info',
    help: 'A host PCI function that the VM has.',
    labels: ['vm', 'device', 'host_address', 'api'],
    points: function* ({ vms }) {
      for (const { info } of vms.filter(vm => isAlive(vm.info)))
        for (const { device, address, api } of info.hostDevices ?? [])
          yield { labels: { vm: info.name, device, host_address: address, api: api ?? '' }, value: 1 };
    },
  },
  {
    name: 'vring_host_device_interrupts',
    type: 'counter',
    help: 'Interrupts of the device that the host has handled, from /proc/interrupts; posted interrupts to running vCPUs are not included, so it may stand still under load.',
    labels: ['vm', 'device', 'kind', 'vector', 'posted'],
    points: function* ({ vms }) {
      for (const { info, snapshot } of vms) {
        const { posted = false, vectors = [] } = snapshot?.interrupts ?? {};
        for (const { device, kind, vector, count } of vectors)
          yield {
            labels: { vm: info.name, device, kind, vector: String(vector), posted: posted ? 'yes' : 'no' },
            value: count,
          };
      }
    },
  },
];
