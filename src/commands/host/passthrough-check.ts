import { claimsOf, passthroughVm, requestOf } from '../../definitions/passthrough-request.ts';
import type { Definition } from '../../definitions/schema.ts';
import { assess } from '../../host/passthrough/assess.ts';
import type { Assessment, Claim, PassthroughRequest } from '../../host/passthrough/assessment.ts';
import { resolveAddress } from '../../host/pci/address.ts';
import { functionsOfHostSlot } from '../../host/pci/slot-functions.ts';
import { readSurvey } from '../../host/plan/survey.ts';
import type { HostRoot } from '../../host/root.ts';
import { UsageError } from '../../text/usage-error.ts';
import { assessmentLines } from './assessment-lines.ts';
import { type HostOptions, outputWidth, print } from './host-options.ts';

export type CheckOptions = HostOptions & {
  readonly vm?: string;
  readonly iommufd?: 'on' | 'off';
  readonly unsafeNoIommu?: boolean;
};

/** Access to the VMs of the command's user. */
export type KnownVms = {
  /** @throws an error for the user if there is none of this name, or it is not valid */
  readonly definition: (name: string) => Definition;
  /** All valid ones. */
  readonly definitions: () => readonly Definition[];
  readonly isRunning: (name: string) => boolean;
};

/**
 * Prints whether functions can be passed to a VM.
 * @returns the exit status: 0 if they can, 1 if not
 */
export async function checkPassthrough(
  root: HostRoot,
  texts: readonly string[],
  options: CheckOptions,
  vms: KnownVms,
): Promise<number> {
  const assessment = await assessmentOf(root, texts, options, vms);
  print(options, assessment, () => assessmentLines(assessment, outputWidth()));
  return assessment.possible ? 0 : 1;
}

/** @throws UsageError */
export async function assessmentOf(
  root: HostRoot,
  texts: readonly string[],
  { vm, iommufd, unsafeNoIommu }: CheckOptions,
  vms: KnownVms,
): Promise<Assessment> {
  const survey = await readSurvey(root);
  const slots = (slot: string) => functionsOfHostSlot(root, slot);
  const known = [...survey.byAddress.keys()];
  const asked = texts.flatMap(text => addressesOf(text, known, slots));
  const state = (name: string) => (vms.isRunning(name) ? 'running' : 'stopped');
  const definition = vm === undefined ? null : vms.definition(vm);
  // A recorded host is a different one: VMs of this host do not matter there.
  const claims: Claim[] = root.live ? claimsOf(vms.definitions(), vms.isRunning, slots) : [];
  const wanted: PassthroughRequest =
    definition === null
      ? { addresses: [], claims }
      : requestOf(definition, state(definition.name), claims, slots);
  const addresses = asked.length > 0 ? asked : wanted.addresses;
  if (addresses.length === 0) {
    throw new UsageError(
      vm === undefined
        ? 'name a PCI function, or a VM with --vm'
        : `${vm} passes no device: name one, such as 02:00.0`,
    );
  }
  return assess(survey, {
    ...wanted,
    addresses,
    ...(definition !== null && { vm: passthroughVm(definition, state(definition.name)) }),
    ...(iommufd !== undefined && { iommufd: iommufd === 'on' }),
    ...(unsafeNoIommu && { unsafeNoIommu }),
  });
}

const FUNCTION = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])$/;
const SLOT = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])$/;

/** Functions by an address, or all of a device by its slot, even if they do not exist. @throws UsageError */
function addressesOf(
  text: string,
  known: readonly string[],
  functionsOfSlot: (slot: string) => readonly string[],
): readonly string[] {
  const lower = text.trim().toLowerCase();
  const fn = FUNCTION.exec(lower);
  if (fn !== null) {
    const [, domain, bus, device, number] = fn;
    const rest = `${bus!.padStart(2, '0')}:${device!.padStart(2, '0')}.${number}`;
    const isThere = known.some(each => (domain ? each === `${domain}:${rest}` : each.endsWith(`:${rest}`)));
    return [isThere ? resolveAddress(lower, known) : `${domain ?? '0000'}:${rest}`];
  }
  const slot = SLOT.exec(lower);
  if (slot === null) {
    throw new UsageError(
      `${text} is not a PCI address: expected a form like 0000:02:00.0 or 02:00.0, or 02:00 for all functions of a device`,
    );
  }
  const full = `${slot[1] ?? '0000'}:${slot[2]}:${slot[3]}`;
  const functions = functionsOfSlot(full);
  return functions.length > 0 ? functions : [`${full}.0`];
}
