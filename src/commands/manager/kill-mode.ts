import { execa } from 'execa';
import type { ManagerStatus } from '../../engine/remote/protocol.ts';
import { systemctlText } from '../../text/shell.ts';

const TIMEOUT_MS = 5000;
/** From systemd.kill(5): in the other modes, systemd kills the processes that a service leaves behind. */
const LEAVES_PROCESSES = ['process', 'none'];

/** @throws when systemd would kill the VMs of a unit once its manager has ended */
export async function refuseKillingUnit(unit: NonNullable<ManagerStatus['unit']>): Promise<void> {
  const args = [...(unit.user ? ['--user'] : []), 'show', '--property=KillMode', '--value', unit.name];
  const { failed, stdout } = await execa('systemctl', args, { reject: false, timeout: TIMEOUT_MS });
  const mode = String(stdout).trim();
  if (failed || LEAVES_PROCESSES.includes(mode)) return;
  throw new Error(
    `${unit.name} has KillMode=${mode}, so systemd would kill the VMs with the manager: set KillMode=process ` +
      `(${systemctlText(unit, 'edit')}), or shut the VMs down too (vring manager restart --with-vms)`,
  );
}
