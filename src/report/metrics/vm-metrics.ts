import type { VmInfo, VmState } from '../../engine/engine.ts';
import type { Family } from './metric.ts';

const STATES: readonly VmState[] = ['starting', 'running', 'paused', 'stopping', 'off', 'crashed'];

/** Each VM that is defined or runs. */
export const VM_METRICS: readonly Family[] = [
  {
    name: 'vring_vm_state',
    type: 'stateset',
    help: 'The state of the VM.',
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
    help: 'When the VM was last started, since 1970; missing when it never was.',
    labels: ['vm'],
    points: ({ vms }) =>
      vms.flatMap(({ info }) =>
        info.startedAt === null ? [] : [{ labels: { vm: info.name }, value: info.startedAt / 1000 }],
      ),
  },
  perVm('vring_vm_vcpus', 'vCPUs of the VM.', vm => vm.vcpus),
  perVm(
    'vring_vm_memory_bytes',
    'Memory of the VM, whether the guest has touched it or not.',
    vm => vm.memoryBytes,
    'bytes',
  ),
  perVm(
    'vring_vm_broken_devices',
    'Devices that stopped serving their driver, because it broke the rules.',
    vm => Object.keys(vm.broken).length,
  ),
  perVm('vring_vm_definition_ok', '0 when the definition of the VM can not be used.', vm =>
    vm.problem === null ? 1 : 0,
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
