import { neededFeatures } from '../../cpu/host-cpu.ts';
import { identify } from '../../snapshot/file-identity.ts';
import type { HostFiles } from '../host-files.ts';
import type { Machine } from '../life-cycle.ts';
import type { MachineLoop } from '../loop.ts';
import type { MigrationFacts } from '../messages.ts';
import type { Reply } from '../reply.ts';
import { labelOf } from '../snapshot-writer.ts';

export type FactsParts = {
  readonly machine: Machine;
  readonly files: HostFiles;
  readonly loop: Pick<MachineLoop, 'at' | 'now'>;
};

/** How long the machine may take to stop. */
const STOP_NS = 2_000_000_000n;

/** What another host needs to know of the machine, which stops for a moment: KVM tells it of no vCPU that runs. */
export function migrationFacts({ machine, files, loop }: FactsParts, reply: Reply<MigrationFacts>): void {
  let isOver = false;
  let isHeld = false;
  let release = () => {};
  const end = (answer: () => void) => {
    if (isOver) return;
    isOver = true;
    giveUp();
    try {
      answer();
    } catch (error) {
      reply.failed((error as Error).message);
    }
    if (isHeld) release();
  };
  const giveUp = loop.at(loop.now() + STOP_NS, () =>
    end(() => {
      const { holdups } = machine;
      const what = holdups.length === 0 ? 'its vCPUs do' : `${holdups.join(', ')} does`;
      reply.failed(`the VM could not be stopped for a moment: ${what} not respond`);
    }),
  );
  release = machine.hold({ quiesced: () => end(() => reply.done(factsOf(machine, files))) });
  isHeld = true;
  if (isOver) release();
}

function factsOf({ parts: { vcpus, kvm, chipset } }: Machine, files: HostFiles): MigrationFacts {
  const { first } = vcpus;
  return {
    cpu: neededFeatures(first.getCpuid(), kvm),
    tscKhz: first.getTscKhz(),
    places: chipset.places,
    disks: files.disks.map(disk => ({
      ...labelOf(disk),
      identity: identify(disk.fd)!,
      ...(disk.backing.length > 0 && {
        backing: disk.backing.map(({ path, fd }) => ({ path, identity: identify(fd)! })),
      }),
    })),
  };
}
