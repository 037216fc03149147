import { BUTTON_OFF, type Engine } from '../engine/engine.ts';
import type { VmInfo, VmState } from '../engine/vm-info.ts';
import { cannotStart, isAlive, notSavable, otherVersion } from '../engine/vm-info.ts';
import { version } from '../project-root.ts';
import { actionOnVms, type VmAction } from './vm-action.ts';

/** A refusal for VMs that are in none of these states. */
function onlyWhile(...states: readonly VmState[]) {
  return (vm: VmInfo): string | null => (states.includes(vm.state) ? null : `${vm.name} is ${vm.state}`);
}

/** @throws when the guest does not notice it */
async function pressPowerButton(engine: Pick<Engine, 'powerButton'>, id: string): Promise<void> {
  const { noticed } = await engine.powerButton(id);
  if (!noticed) throw new Error(BUTTON_OFF);
}

function resumeOrWake(engine: Pick<Engine, 'vms' | 'resume' | 'wake'>, id: string): Promise<void> {
  const isSuspended = engine.vms().find(vm => vm.id === id)?.state === 'suspended';
  return isSuspended ? engine.wake(id) : engine.resume(id);
}

/** Actions that change a VM have capital letters, so that a slip of the finger cannot trigger one. */
const vmSpecs: readonly VmAction[] = [
  {
    name: 'start',
    label: 'start',
    description: 'Start the VM: from its definition as it is on disk now, or with the same configuration',
    bar: 15,
    verb: 'Start',
    refusal: vm => onlyWhile('off', 'crashed')(vm) ?? cannotStart(vm),
    act: (engine, id) => engine.restart(id),
    begun: who => `starting ${who}`,
    done: who => `started ${who}`,
  },
  {
    name: 'pause',
    label: 'pause',
    description: 'Pause the VM',
    bar: 50,
    verb: 'Pause',
    refusal: onlyWhile('running', 'suspended'),
    act: (engine, id) => engine.pause(id),
  },
  {
    name: 'resume',
    label: 'resume',
    description: 'Resume a paused VM, or wake a suspended one',
    bar: 51,
    verb: 'Resume',
    refusal: onlyWhile('paused', 'suspended'),
    act: resumeOrWake,
  },
  {
    name: 'upgrade',
    label: 'upgrade',
    description: 'Move the running VM to a new process of the installed vring',
    verb: 'Upgrade',
    refusal: vm =>
      onlyWhile('running', 'paused', 'suspended')(vm) ??
      (otherVersion(vm, version()) === null ? `${vm.name} runs vring ${version()} already` : notSavable(vm)),
    act: async (engine, id) => {
      await engine.upgrade(id);
    },
    begun: who => `upgrading ${who}`,
    done: who => `upgraded ${who}`,
  },
  {
    name: 'power-button',
    label: 'power button',
    phrase: 'press the power button',
    description: 'Press the ACPI power button; the guest decides what happens',
    verb: 'Press',
    refusal: onlyWhile('running'),
    loss: { title: who => `Press the power button of ${who}?`, body: 'Most guests shut down.' },
    act: pressPowerButton,
    done: who => `${who}: power button pressed; the guest decides what happens`,
  },
  {
    name: 'reset',
    label: 'reset',
    description: 'Press the reset button: the guest boots again without shutting down',
    verb: 'Reset',
    refusal: onlyWhile('running', 'paused', 'suspended'),
    loss: {
      title: who => `Reset ${who}?`,
      body: 'The guest boots again immediately. What it has not written to its disks is lost.',
    },
    act: (engine, id) => engine.reset(id),
    done: who => `reset ${who}`,
  },
  {
    name: 'kill',
    label: 'kill',
    description: 'Kill the VM, as if its power was cut',
    bar: 60,
    verb: 'Kill',
    refusal: onlyWhile('starting', 'running', 'paused', 'suspended', 'stuck'),
    loss: {
      title: who => `Kill ${who}?`,
      body: 'The power is cut immediately. What the guest has not written to its disks is lost.',
    },
    act: (engine, id) => engine.kill(id),
  },
  {
    name: 'delete',
    label: 'delete',
    description: 'Delete a VM that is off; its definition is kept as NAME.yaml~, and its disks are kept',
    bar: 61,
    verb: 'Delete',
    refusal: vm => (isAlive(vm) ? `${vm.name} is ${vm.state}: kill it first` : null),
    loss: {
      title: who => `Delete ${who}?`,
      body: 'Its console output is lost. Its definition is kept as NAME.yaml~, and its disks and snapshots are kept.',
    },
    act: (engine, id) => engine.remove(id),
    done: who => `deleted ${who}`,
  },
];

export const vmActions = vmSpecs.map(actionOnVms);
