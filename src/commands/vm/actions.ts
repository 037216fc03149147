import { BUTTON_OFF, type Engine } from '../../engine/engine.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { cannotStart, isAlive, isUp, otherVersion } from '../../engine/vm-info.ts';
import { version } from '../../project-root.ts';
import { printError } from '../../text/output.ts';
import type { Action, ActOptions } from './act.ts';
import { until, within } from './until.ts';

/** Starts are CPU-bound: more in parallel would only wait for each other. */
const STARTS_TOGETHER = 4;
/** Keep the host as idle as possible while a guest is stopped. */
const UPGRADES_TOGETHER = 1;
/** A save is as fast as the disk. */
const SAVES_TOGETHER = 2;

export type ActionOptions = ActOptions & { readonly timeout: number };
export type StartOptions = ActionOptions & { readonly wait?: boolean; readonly discardSaved?: boolean };
export type UpgradeOptions = ActionOptions & { readonly force?: boolean };
export type StopOptions = ActionOptions & { readonly wait?: boolean; readonly force?: boolean };

export function start({ timeout, wait = false, discardSaved = false }: StartOptions): Action<Engine> {
  return {
    doing: wait ? 'waiting for' : 'starting',
    applies: vm => !isAlive(vm) && cannotStart(vm) === null,
    ...(!wait && { together: STARTS_TOGETHER }),
    run: async (engine, vm) => {
      const began = isAlive(vm);
      const saved = vm.saved !== undefined && !discardSaved;
      if (!began && vm.saved !== undefined && discardSaved) await engine.deleteSnapshot(vm.id, null);
      if (!began) await soon(engine.restart(vm.id), timeout);
      if (!wait) return began ? `is already ${vm.state}` : saved ? 'started from its saved state' : 'started';
      await until(engine, vm.name, now => now === undefined || !isAlive(now), Number.POSITIVE_INFINITY);
      return howItEnded(engine, vm);
    },
  };
}

export function stop(options: StopOptions): Action<Engine> {
  const { timeout, force = false, wait = true } = options;
  return {
    doing: 'shutting down',
    applies: isAlive,
    run: async (engine, vm) => {
      if (!isAlive(vm)) return `is already ${vm.state}`;
      const isStill = vm.state === 'paused' || vm.state === 'suspended';
      if (isStill && !force)
        throw new Error(`it is ${vm.state}, so its guest cannot shut down: ${remedy(vm)}`);
      const noticed = isStill || (await soon(engine.powerButton(vm.id), timeout)).noticed;
      if (!wait) {
        if (!noticed) throw new Error(BUTTON_OFF);
        return 'power button pressed';
      }
      // It may still be booting, so wait for it anyway.
      if (!noticed) printError(`vring: ${vm.name}: ${BUTTON_OFF}; waiting ${seconds(timeout)}`);
      const ended = !isStill && (await isOff(engine, vm, timeout));
      if (ended) return howItEnded(engine, vm);
      if (!force) {
        throw new Error(
          noticed
            ? `its guest did not answer the power button within ${seconds(timeout)}; use --force to kill it`
            : `it is still on after ${seconds(timeout)}, and ${BUTTON_OFF}; use --force to kill it`,
        );
      }
      await soon(engine.kill(vm.id), timeout);
      return isStill
        ? `killed: it was ${vm.state}`
        : `killed: its guest did not answer the power button within ${seconds(timeout)}`;
    },
  };
}

export function save({ timeout }: ActionOptions): Action<Engine> {
  return {
    doing: 'saving',
    applies: isUp,
    together: SAVES_TOGETHER,
    run: async (engine, vm) => {
      if (!isAlive(vm)) return vm.saved === undefined ? `is already ${vm.state}` : 'is saved already';
      const saved = engine.save(vm.id);
      let hasFailed = false;
      saved.catch(() => {
        hasFailed = true;
      });
      try {
        await within(saved, timeout, `it was not saved within ${seconds(timeout)}, and keeps running`);
      } catch (error) {
        // A save that was refused must not cancel the operation that the VM is busy with.
        if (!hasFailed) await engine.cancelTask(vm.id).catch(() => {});
        throw error;
      }
      return 'saved';
    },
  };
}

export function kill({ timeout }: ActionOptions): Action<Engine> {
  return {
    doing: 'killing',
    applies: isAlive,
    run: async (engine, vm) => {
      if (!isAlive(vm)) return `is already ${vm.state}`;
      await soon(engine.kill(vm.id), timeout);
      return 'killed';
    },
  };
}

export function upgrade({ timeout, force = false }: UpgradeOptions): Action<Engine> {
  return {
    doing: 'upgrading',
    applies: vm => isUp(vm) && (force || otherVersion(vm, version()) !== null),
    together: UPGRADES_TOGETHER,
    nothingToDo: vms => {
      const running = vms.filter(isAlive);
      const areCurrent = running.every(vm => otherVersion(vm, version()) === null);
      return running.length > 0 && areCurrent && !force ? `all running VMs have vring ${version()}` : null;
    },
    run: async (engine, vm) => {
      const { manager } = engine;
      if (manager.version !== version())
        throw new Error(
          `the manager (process ${manager.pid}) is vring ${manager.version}, and this is ${version()}: replace it first with vring manager restart, which keeps the VMs running`,
        );
      if (!force && vm.version === manager.version) return `already runs vring ${vm.version}`;
      const { from, to, stoodStillMs } = await soon(engine.upgrade(vm.id), timeout);
      const what =
        from === to ? `moved to a new process of vring ${to}` : `upgraded from vring ${from} to ${to}`;
      return `${what}; its guest stood still for ${Math.round(stoodStillMs)} ms`;
    },
  };
}

export function reset({ timeout }: ActionOptions): Action<Engine> {
  return {
    doing: 'resetting',
    applies: isAlive,
    run: async (engine, vm) => {
      await soon(engine.reset(vm.id), timeout);
      return 'reset';
    },
  };
}

export function pause({ timeout }: ActionOptions): Action<Engine> {
  return {
    doing: 'pausing',
    applies: vm => vm.state === 'running',
    run: async (engine, vm) => {
      if (vm.state === 'paused') return 'is already paused';
      await soon(engine.pause(vm.id), timeout);
      return 'paused';
    },
  };
}

export function resume({ timeout }: ActionOptions): Action<Engine> {
  return {
    doing: 'resuming',
    applies: vm => vm.state === 'paused',
    run: async (engine, vm) => {
      if (vm.state === 'running') return 'is already running';
      if (vm.state === 'suspended')
        throw new Error(`its guest is suspended: wake it up (vring vm wake ${vm.name})`);
      await soon(engine.resume(vm.id), timeout);
      return 'resumed';
    },
  };
}

export function wake({ timeout }: ActionOptions): Action<Engine> {
  return {
    doing: 'waking up',
    applies: vm => vm.state === 'suspended',
    run: async (engine, vm) => {
      if (vm.state === 'running') return 'is awake already';
      await soon(engine.wake(vm.id), timeout);
      return 'woken up';
    },
  };
}

/** What to do first with a VM whose guest is stopped. */
function remedy({ name, state }: VmInfo): string {
  return state === 'suspended'
    ? `wake it up first (vring vm wake ${name}), or use --force`
    : 'resume it first, or use --force';
}

function soon<Result>(request: Promise<Result>, timeoutMs: number): Promise<Result> {
  return within(
    request,
    timeoutMs,
    `no answer within ${seconds(timeoutMs)}; check the result with vring vm list`,
  );
}

function isOff(engine: Engine, { name }: VmInfo, timeoutMs: number): Promise<boolean> {
  return until(engine, name, vm => vm === undefined || !isAlive(vm), timeoutMs);
}

/** @throws when it crashed */
function howItEnded(engine: Engine, { name }: VmInfo): string {
  const vm = engine.vms().find(vm => vm.name === name);
  if (vm?.state === 'crashed') throw new Error(`it crashed: ${vm.reason}`);
  const code = vm?.exitCode ?? null;
  return `is off${code === null ? '' : `, with the guest's exit code ${code}`}`;
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`;
}
