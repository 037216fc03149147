import { readSurvey } from '../../host/plan/survey.ts';
import { planVfAttributes } from '../../host/plan/vf-attributes.ts';
import { planVfCount } from '../../host/plan/vf-count.ts';
import type { HostRoot } from '../../host/root.ts';
import { parseVfSettings } from '../../host/sriov/vf-settings.ts';
import { parseCount } from '../../text/option-values.ts';
import { type ChangeContext, type ChangeOptions, carryOut, systemContext } from './change.ts';
import { addressArgument } from './host-options.ts';

export type VfOptions = ChangeOptions & { readonly persist?: boolean };
export type VfCountOptions = VfOptions & { readonly autoprobe?: 'on' | 'off' };

export async function setVfCount(
  root: HostRoot,
  pf: string,
  count: string,
  options: VfCountOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const wanted = parseCount(count, 'number of VFs', 0, 65_535);
  const autoprobe = options.autoprobe === undefined ? undefined : options.autoprobe === 'on';
  const persist = options.persist === true;
  const makePlan = async () => {
    const survey = await readSurvey(root);
    const address = await addressArgument(pf, [...survey.byAddress.keys()]);
    return planVfCount(survey, { address, count: wanted, autoprobe, persist });
  };
  return await carryOut(makePlan, options, context);
}

export async function setVfAttributes(
  root: HostRoot,
  pf: string,
  index: string,
  words: readonly string[],
  options: VfOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const vf = parseCount(index, 'index of the VF', 0, 65_534);
  const settings = parseVfSettings(words);
  const makePlan = async () => {
    const survey = await readSurvey(root);
    const address = await addressArgument(pf, [...survey.byAddress.keys()]);
    return planVfAttributes(survey, { address, index: vf, settings, persist: options.persist === true });
  };
  return await carryOut(makePlan, options, context);
}
