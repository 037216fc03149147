import type { Alarm } from '../view/alarms.ts';
import type { Action, ActionContext } from './action.ts';

function alarmAtCursor({ ui, state }: ActionContext): Alarm | null {
  const alarms = ui.select.alarms(state);
  return alarms[Math.min(state.alarmCursor, alarms.length - 1)] ?? null;
}

/** Commands of the overview. */
export const alarmActions: readonly Action[] = [
  {
    name: 'open-vm-of-alarm',
    category: 'Move',
    label: 'open the VM',
    description: 'Open the screen of the VM that the alarm is about',
    screens: ['overview'],
    bar: 10,
    unavailable: context => {
      const alarm = alarmAtCursor(context);
      if (alarm === null) return 'there is no alarm here';
      return alarm.vm === null ? 'the alarm is about no VM' : null;
    },
    run: context => context.state.openScreen({ kind: 'vm', id: alarmAtCursor(context)!.vm! }),
  },
  {
    name: 'leave-overview',
    category: 'Move',
    label: 'back',
    phrase: 'go back',
    description: 'Back to the screen before',
    screens: ['overview'],
    run: ({ state }) => state.closeScreen(),
  },
];
