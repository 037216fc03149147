import { planBind } from '../../host/plan/bind.ts';
import { readSurvey } from '../../host/plan/survey.ts';
import { planUnbind } from '../../host/plan/unbind.ts';
import type { HostRoot } from '../../host/root.ts';
import { isParkingDriver } from '../../host/vfio/read.ts';
import { UsageError } from '../../text/usage-error.ts';
import { type ChangeContext, type ChangeOptions, carryOut, systemContext } from './change.ts';
import { addressArgument } from './host-options.ts';

export type BindOptions = ChangeOptions & {
  readonly driver?: string;
  readonly group?: boolean;
  readonly persist?: boolean;
};

const driverName = /^[\w-]+$/;

export async function bindDevices(
  root: HostRoot,
  texts: readonly string[],
  options: BindOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const { driver = 'vfio-pci' } = options;
  if (!driverName.test(driver) || !isParkingDriver(driver)) {
    throw new UsageError(
      `--driver ${driver}: expected vfio-pci, pci-stub or a VFIO variant driver; to bind a host driver, use vring vfio unbind --driver`,
    );
  }
  const makePlan = async () => {
    const survey = await readSurvey(root);
    const addresses = await allAddresses(texts, [...survey.byAddress.keys()]);
    return planBind(survey, { addresses, driver, ...choices(options) });
  };
  return await carryOut(makePlan, options, context);
}

export async function unbindDevices(
  root: HostRoot,
  texts: readonly string[],
  options: BindOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const { driver = null } = options;
  if (driver !== null && (!driverName.test(driver) || isParkingDriver(driver))) {
    throw new UsageError(
      `--driver ${driver}: expected a driver of the host, such as igb; omit --driver to let the kernel choose`,
    );
  }
  const makePlan = async () => {
    const survey = await readSurvey(root);
    const addresses = await allAddresses(texts, [...survey.byAddress.keys()]);
    return planUnbind(survey, { addresses, driver, ...choices(options) });
  };
  return await carryOut(makePlan, options, context);
}

function choices(options: BindOptions): { wholeGroup: boolean; persist: boolean } {
  return { wholeGroup: options.group === true, persist: options.persist === true };
}

async function allAddresses(texts: readonly string[], known: readonly string[]): Promise<string[]> {
  const addresses: string[] = [];
  for (const text of texts) addresses.push(await addressArgument(text, known));
  return addresses;
}
