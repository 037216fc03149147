import type { MachineServices } from '../../../devices/machine-services.ts';

/** Services for a device that is being created. */
export type CreationServices = {
  readonly services: MachineServices;
  /** The device exists: it releases what it has taken itself. */
  created(): void;
  /** Its creation has failed: releases everything that it has taken. */
  undo(): void;
};

/** Services that record what is taken from them until there is a device that can be closed. */
export function creationServices(services: MachineServices): CreationServices {
  let releases: (() => void)[] | null = [];
  /** Calls a service; `release` undoes that. */
  const taking =
    <Args extends unknown[], Result>(take: (...args: Args) => Result, release: (taken: Result) => void) =>
    (...args: Args): Result => {
      const taken = take(...args);
      releases?.push(() => release(taken));
      return taken;
    };
  const release = (taken: { release(): void }) => taken.release();
  const call = (cancel: () => void) => cancel();
  const { eventFds, events, clock, backends, hostDevices } = services;
  const recording: MachineServices = {
    ...services,
    allocateMemory: taking(services.allocateMemory, release),
    attachDoorbell: taking(services.attachDoorbell, call),
    allocateMsi: taking(services.allocateMsi, release),
    interruptLine: taking(services.interruptLine, release),
    allocateQueueCounters: taking(services.allocateQueueCounters, release),
    statistic: taking(services.statistic, release),
    eventFds: { ...eventFds, create: taking(eventFds.create, fd => eventFds.close(fd)) },
    events: {
      watch: taking((fd, onSignal) => events.watch(fd, onSignal), call),
      soon: callback => events.soon(callback),
    },
    clock: {
      now: () => clock.now(),
      at: taking((deadline, callback) => clock.at(deadline, callback), call),
      wallMs: () => clock.wallMs(),
    },
    backends: {
      open: (kind, options) => {
        const opened = backends.open(kind, options);
        if ('close' in opened) releases?.push(() => (opened as { close(): void }).close());
        return opened;
      },
    },
    hostDevices: {
      open: taking(
        address => hostDevices.open(address),
        device => device.close(),
      ),
    },
  };
  return {
    services: recording,
    created: () => {
      releases = null;
    },
    undo: () => {
      for (const release of (releases ?? []).reverse()) release();
      releases = null;
    },
  };
}
