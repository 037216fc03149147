import { FRAME, FrameReader, messageOf, portOf } from '../../src/vmm/machine/frames.ts';
import type { Incoming } from '../../src/vmm/machine/manager-link.ts';
import type { FromMachine } from '../../src/vmm/machine/messages.ts';
import type { MachineReport } from '../../src/vmm/machine/report.ts';

/** A machine's link to a manager that has sent `inbox` and sends nothing more. */
export function linkWith(inbox: Incoming[] = []) {
  return {
    manager: 0,
    reachable: true,
    next: () => inbox.shift() ?? null,
    takeFd: () => null,
    listenAt: () => {},
    flush: () => {},
    attach: () => () => {},
  };
}

export type Printed = { readonly kind: 'printed'; readonly port: number; readonly text: string };

/** Everything that a machine has to report and has not yet. */
export function sentBy(report: MachineReport): (FromMachine | Printed)[] {
  const reader = new FrameReader();
  const said: (FromMachine | Printed)[] = [];
  for (let bytes = report.next(); bytes !== null; bytes = report.next()) {
    for (const frame of reader.push(bytes)) {
      if (frame.kind === FRAME.message) said.push(messageOf(frame) as FromMachine);
      else
        said.push({
          kind: 'printed',
          port: portOf(frame).port,
          text: Buffer.from(portOf(frame).bytes).toString(),
        });
    }
  }
  return said;
}
