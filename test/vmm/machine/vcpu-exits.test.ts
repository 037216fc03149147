import { expect, test } from 'vitest';
import { EXIT } from '../../../src/vmm/kvm/constants.ts';
import { Ending } from '../../../src/vmm/machine/ending.ts';
import type { MachineParts } from '../../../src/vmm/machine/machine-parts.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { VcpuExits } from '../../../src/vmm/machine/vcpu-exits.ts';
import { SystemError } from '../../../src/vmm/native/libc.ts';
import { sentBy } from '../../support/machine-link.ts';

/** The exits of a machine whose vCPU has shut down, as after a triple fault. @param firmware it has some */
function shutDown({ firmware }: { readonly firmware: boolean }) {
  const requests: string[] = [];
  const report = new MachineReport();
  const ending = new Ending(() => {});
  const machine = {
    vcpus: [
      {
        run: { exitReason: EXIT.SHUTDOWN },
        getRegs: () => {
          throw new SystemError('KVM_GET_REGS', 1);
        },
      },
    ],
    chipset: { q35: firmware ? {} : null },
    services: { request: ({ kind }: { kind: string }) => requests.push(kind) },
    native: { completeVcpu: () => requests.push('complete') },
  } as unknown as MachineParts;
  const exits = new VcpuExits({
    machine,
    ending,
    notify: say => say(report),
  });
  return { exits, requests, report, ending };
}

test('a triple fault resets a machine with firmware, and stops one that only faults', () => {
  const { exits, requests, report, ending } = shutDown({ firmware: true });
  exits.exit(0);
  // The vCPU goes on, to be parked.
  expect(requests).toEqual(['reset', 'complete']);
  expect(ending.end).toBeNull();
  expect(JSON.stringify(sentBy(report))).toContain('triple fault on vCPU 0: the machine is reset');
  for (let i = 0; i < 10; i++) exits.exit(0);
  expect(requests.filter(kind => kind === 'reset')).toHaveLength(10);
  expect(ending.end).toMatchObject({ crashed: true });
  expect(ending.end!.reason).toMatch(/^the guest keeps resetting itself: triple fault/);
});

test('a triple fault ends a machine whose kernel was booted directly', () => {
  const { exits, requests, ending } = shutDown({ firmware: false });
  exits.exit(0);
  expect(requests).toEqual([]);
  expect(ending.end).toMatchObject({ crashed: true });
  expect(ending.end!.reason).toMatch(/^triple fault/);
});
