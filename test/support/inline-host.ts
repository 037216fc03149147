import { MessageChannel } from 'node:worker_threads';
import type { Clock } from '../../src/clock.ts';
import type { HostRoot } from '../../src/host/root.ts';
import { HostClient } from '../../src/host-service/client.ts';
import { HostPlans, type PlansOptions } from '../../src/host-service/plans.ts';
import { HostServer } from '../../src/host-service/server.ts';
import { HostService } from '../../src/host-service/service.ts';
import type { HostSource } from '../../src/host-service/source.ts';

type InlineOptions = PlansOptions & { readonly unchangeable?: string | null; readonly recording?: string };

/** A host on the test's own thread: the same messages, with the test's clock. */
export function inlineHost(
  root: HostRoot,
  clock: Clock,
  { unchangeable = null, recording, ...plans }: InlineOptions = {},
): HostSource {
  return {
    unchangeable,
    recording: recording ?? null,
    connect: () => {
      const { port1, port2 } = new MessageChannel();
      new HostServer(
        new HostService(root, '/'),
        new HostPlans(root, { lock: change => change(), ...plans }),
        port2,
        clock,
      );
      return {
        client: new HostClient(port1),
        onLost: () => {},
        close: async () => port1.close(),
      };
    },
  };
}
