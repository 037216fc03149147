import type { VmInfo, VmState } from '../../engine/vm-info.ts';
import type { Family } from './metric.ts';

const STATES: readonly VmState[] = [
  'starting',
  'running',
  'paused',
  'suspended',
  'stopping',
  'stuck',
  'off',
  'crashed',
];

/** Each VM that is defined or runs. */
export const VM_METRICS: readonly Family[] = [
  {
    name: 'vring_vm_state',
    type: 'stateset',
    help: 'State of the VM.',
    labels: ['vm', 'vring_vm_state'],
    points: ({ vms }) =>
      vms.flatMap(({ info }) =>
        STATES.map(state => ({
          labels: { vm: info.name, vring_vm_state: state },
          value: info.state === state ? 1 : 0,
        })),
      ),
  },
  {
    name: 'vring_vm_start_time_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Time of the last start, in seconds since 1970; absent before the first start.',
    labels: ['vm'],
    points: ({ vms }) =>
      vms.flatMap(({ info }) =>
        info.startedAt === null ? [] : [{ labels: { vm: info.name }, value: info.startedAt / 1000 }],
      ),
  },
  perVm('vring_vm_vcpus', 'Number of vCPUs.', vm => vm.vcpus),
  perVm(
    'vring_vm_memory_bytes',
    'Configured memory, whether or not the guest has touched it.',
    vm => vm.memoryBytes,
    'bytes',
  ),
  perVm(
    'vring_vm_broken_devices',
    'Devices that stopped serving their driver because it violated the device protocol.',
    vm => Object.keys(vm.broken).length,
  ),
  perVm(
    'vring_vm_disks_with_errors',
    "Disks whose requests the host's disk has failed within the last minute or two.",
    vm => Object.keys(vm.diskErrors ?? {}).length,
  ),
  perVm('vring_vm_definition_ok', '1 if the definition can be used, 0 if it has an error.', vm =>
    vm.problem === null ? 1 : 0,
  ),
  perVm('vring_vm_autostart', '1 if the VM is started together with the service.', vm =>
    vm.autostart ? 1 : 0,
  ),
];

function perVm(name: string, help: string, value: (vm: VmInfo) => number, unit?: 'bytes'): Family {
  return {
    name,
    type: 'gauge',
    ...(unit && { unit }),
    help,
    labels: ['vm'],
    points: ({ vms }) => vms.map(({ info }) => ({ labels: { vm: info.name }, value: value(info) })),
  };
}
