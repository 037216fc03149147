import type { PressedButton } from '../engine.ts';
import type { Vm } from '../vm.ts';
import type { LogEntry } from '../vm-info.ts';

/**
 * Presses the power button of a VM; a guest that does not notice it is shut down through its agent, if there is one.
 */
export async function pressPowerButton(
  vm: Vm,
  note: (level: LogEntry['level'], text: string) => void,
): Promise<PressedButton> {
  const result = (await vm.command('power-button', {})) as Partial<PressedButton> | null;
  if (result?.noticed !== false) return { noticed: true };
  const { agent } = vm;
  if (agent.facts === null) {
    note('warning', 'the power button was pressed, but the guest has not enabled it');
    return { noticed: false };
  }
  await agent.agent.send('guest-shutdown', { mode: 'powerdown' });
  note('info', 'the guest does not notice its power button: its agent was asked to shut it down');
  return { noticed: true };
}
