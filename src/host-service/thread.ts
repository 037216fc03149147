import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { HostRoot } from '../host/root.ts';
import { managerPaths } from '../manager/paths.ts';
import { HostPlans } from './plans.ts';
import { HostServer } from './server.ts';
import { HostService } from './service.ts';

// Entry point of the host thread; `workerData` is the root of the host's files.
const root = new HostRoot(workerData as string);
new HostServer(new HostService(root, managerPaths().state), new HostPlans(root), parentPort!, systemClock);
