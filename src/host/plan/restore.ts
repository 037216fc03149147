import { type DesiredVf, readDesired } from '../boot/desired.ts';
import { type Identity, identify, identityText, sameDevice } from '../boot/identity.ts';
import type { PciFunction } from '../pci/function.ts';
import { applyPlan } from './apply.ts';
import { planBind } from './bind.ts';
import { blocks, type Check, type Plan, type VfSettings } from './plan.ts';
import { type HostSurvey, readSurvey } from './survey.ts';
import { planVfAttributes } from './vf-attributes.ts';
import { planVfCount } from './vf-count.ts';
import type { HostWriter } from './writer.ts';

export type RestoredItem = {
  /** Address of the function. */
  readonly address: string;
  /** `unchanged`: already in the stored state. `refused`: not the stored device, or blocked by a check. */
  readonly state: 'restored' | 'unchanged' | 'refused' | 'failed';
  readonly text: string;
};

/**
 * Restores the stored state of the host's devices. Devices are independent: a failure of one does not affect the
 * others.
 */
export async function restoreHost(
  writer: HostWriter,
  onItem: (item: RestoredItem) => void = () => {},
): Promise<RestoredItem[]> {
  const desired = readDesired(writer.root);
  const items: RestoredItem[] = [];
  const add = (item: RestoredItem): void => {
    items.push(item);
    onItem(item);
  };
  for (const [address, { driver, identity }] of Object.entries(desired.devices)) {
    const survey = await readSurvey(writer.root);
    add(
      await restoreOne(writer, survey, address, identity, () =>
        planBind(survey, { addresses: [address], driver, wholeGroup: false }),
      ),
    );
  }
  for (const [address, stored] of Object.entries(desired.sriov)) {
    await waitForDriver(writer, address);
    const survey = await readSurvey(writer.root);
    const item = await restoreOne(writer, survey, address, stored.identity, () =>
      planVfCount(survey, { address, count: stored.count }),
    );
    add(item);
    if (item.state === 'refused' || item.state === 'failed') continue;
    for (const [index, vf] of Object.entries(stored.vfs)) {
      for (const part of await restoreVf(writer, address, Number(index), vf)) add(part);
    }
  }
  return items;
}

/** Settings before drivers: a VF reads its MAC address when a driver binds. */
async function restoreVf(
  writer: HostWriter,
  physicalFunction: string,
  index: number,
  { driver, attributes }: DesiredVf,
): Promise<RestoredItem[]> {
  const survey = await readSurvey(writer.root);
  const address = survey.byAddress.get(physicalFunction)?.virtualFunctions[index];
  if (address === undefined) {
    return [{ address: physicalFunction, state: 'failed', text: `it has no VF ${index}` }];
  }
  const items: RestoredItem[] = [];
  if (attributes !== undefined && Object.keys(attributes).length > 0) {
    const settings = attributes as VfSettings;
    items.push(
      await attempt(writer, address, () =>
        planVfAttributes(survey, { address: physicalFunction, index, settings }),
      ),
    );
  }
  if (driver !== undefined) {
    items.push(
      await attempt(writer, address, () =>
        planBind(survey, { addresses: [address], driver, wholeGroup: false }),
      ),
    );
  }
  return items;
}

async function restoreOne(
  writer: HostWriter,
  survey: HostSurvey,
  address: string,
  stored: Identity,
  makePlan: () => Plan,
): Promise<RestoredItem> {
  const problem = identityProblem(survey, address, stored);
  if (problem !== null) return { address, state: 'refused', text: problem };
  return await attempt(writer, address, makePlan);
}

async function attempt(writer: HostWriter, address: string, makePlan: () => Plan): Promise<RestoredItem> {
  try {
    const plan = makePlan();
    const standing = blocks(plan).filter(standsAtBoot);
    if (standing.length > 0) {
      return { address, state: 'refused', text: standing.map(check => check.reason).join('; ') };
    }
    if (plan.steps.length === 0) return { address, state: 'unchanged', text: plan.notes.join('; ') };
    const { state, problem } = await applyPlan(writer, plan);
    if (state === 'applied') return { address, state: 'restored', text: plan.title };
    return { address, state: 'failed', text: problem ?? state };
  } catch (error) {
    return { address, state: 'failed', text: (error as Error).message };
  }
}

/**
 * Risks accepted when the state was stored, such as the only display, are accepted at every boot. Devices in use are
 * never taken by an unattended program.
 */
function standsAtBoot(check: Check): boolean {
  return !check.forceable || ['storage', 'network', 'sriov', 'held'].includes(check.code);
}

/** Both identities if the device at the address is not the stored one. */
function identityProblem(survey: HostSurvey, address: string, stored: Identity): string | null {
  const fn = survey.byAddress.get(address);
  const moved = movedTo(survey, address, stored);
  const where = moved === null ? '' : `; it is now at ${moved}`;
  if (!fn) return `stored for ${identityText(stored)}, but there is no device at this address${where}`;
  const now = identify(survey.root, fn);
  if (sameDevice(stored, now)) return null;
  return `stored for ${identityText(stored)}, but found ${identityText(now)}: skipped${where}`;
}

/** Another address with the stored serial number or MAC; IDs alone would match identical devices. */
function movedTo(survey: HostSurvey, address: string, stored: Identity): string | null {
  if (stored.serial === null && stored.mac === null) return null;
  const same = (fn: PciFunction): boolean => {
    const now = identify(survey.root, fn);
    const known =
      (stored.mac !== null && now.mac === stored.mac) ||
      (stored.mac === null && stored.serial !== null && now.serial === stored.serial);
    return known && sameDevice(stored, now);
  };
  return survey.functions.find(fn => fn.address !== address && same(fn))?.address ?? null;
}

const driverWaitMilliseconds = 30_000;
const pollMilliseconds = 250;

/** VFs are created by the physical function's driver, which may still be loading. */
async function waitForDriver(writer: HostWriter, address: string): Promise<void> {
  const device = `/sys/bus/pci/devices/${address}`;
  for (let waited = 0; waited < driverWaitMilliseconds; waited += pollMilliseconds) {
    if (!writer.root.exists(device) || writer.root.linkName(`${device}/driver`) !== null) return;
    await writer.sleep(pollMilliseconds);
  }
}
