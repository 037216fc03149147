import type { NewVmPlan } from '../definitions/create/plan.ts';
import type { Assessment } from '../host/passthrough/assessment.ts';
import type { PlanChoice } from './plan-choice.ts';

/** The VM that devices are attached to. */
export type AttachTarget = {
  readonly name: string;
  /** Bytes. */
  readonly memory: number;
  readonly vcpus: number;
} & (
  | { readonly kind: 'running' }
  /** The devices go into its definition. `text`: the present definition. */
  | { readonly kind: 'off'; readonly text: string }
  | { readonly kind: 'new'; readonly plan: NewVmPlan }
);

/** Options that the user can change while the plan is shown. */
export type AttachOptions = {
  /** Pass the other members of their IOMMU groups to the guest, too. */
  readonly wholeGroup: boolean;
  /** Give them back to the host when the VM ends. */
  readonly giveBack: boolean;
  /** Which kernel interface to use; null for whatever it offers. */
  readonly iommufd: boolean | null;
  /** For a running VM: add them to its definition, too. */
  readonly persist: boolean;
  /** For a VM that is off: start it afterwards. */
  readonly start: boolean;
  /** Assign a permanent MAC address to VFs without one. */
  readonly mac: boolean;
  /** Allow it without an IOMMU. */
  readonly noIommu: boolean;
};

/** Host devices on their way to a VM: the whole change, from the host's drivers to the guest. */
export type AttachSubject = {
  readonly kind: 'attach';
  readonly target: AttachTarget;
  /** The devices requested, by full address. */
  readonly asked: readonly string[];
  readonly options: AttachOptions;
  readonly assessment: Assessment;
  /** New MAC addresses for devices without one, by the devices' addresses. */
  readonly macs: Readonly<Record<string, string>>;
};

/** What the guest gets: the devices requested, and with the whole group its other members. */
export function attachedAddresses({ assessment }: Pick<AttachSubject, 'assessment'>): string[] {
  return assessment.devices.map(({ address }) => address);
}

/** Other members of the groups that the host no longer uses, and that could go to the guest. */
export function groupOthers({ assessment, asked }: Pick<AttachSubject, 'assessment' | 'asked'>): string[] {
  const members = assessment.devices.flatMap(device => [
    { address: device.address, role: 'group' },
    ...device.members,
  ]);
  const others = members.filter(({ address, role }) => !asked.includes(address) && role === 'group');
  return [...new Set(others.map(({ address }) => address))].sort();
}

/** Whether only the lack of an IOMMU blocks any of it. */
function lacksIommu({ devices, unsafe }: Assessment): boolean {
  return (
    unsafe ||
    devices.some(({ reasons }) => reasons.some(reason => reason.code === 'iommu' && reason.level === 'block'))
  );
}

export function attachChoices(subject: AttachSubject): readonly PlanChoice<keyof AttachOptions>[] {
  const { target, options, assessment } = subject;
  const api = options.iommufd === null ? 'auto' : options.iommufd ? 'iommufd' : 'group';
  return [
    ...(target.kind === 'running'
      ? [{ option: 'persist' as const, key: 'p', text: 'persist', on: options.persist }]
      : [{ option: 'start' as const, key: 's', text: 'start', on: options.start }]),
    ...(target.kind === 'running'
      ? []
      : [{ option: 'giveBack' as const, key: 'r', text: 'returns', on: options.giveBack }]),
    ...(options.wholeGroup || groupOthers(subject).length > 0
      ? [{ option: 'wholeGroup' as const, key: 'w', text: 'whole group', on: options.wholeGroup }]
      : []),
    ...(Object.keys(subject.macs).length > 0
      ? [{ option: 'mac' as const, key: 'm', text: 'MAC', on: options.mac }]
      : []),
    { option: 'iommufd', key: 'i', text: `API ${api}`, on: null },
    ...(options.noIommu || lacksIommu(assessment)
      ? [{ option: 'noIommu' as const, key: 'x', text: 'UNSAFE without IOMMU', on: options.noIommu }]
      : []),
  ];
}

/** The options after the user toggles one. */
export function toggledOption(options: AttachOptions, option: keyof AttachOptions): AttachOptions {
  if (option !== 'iommufd') return { ...options, [option]: !options[option] };
  const next = options.iommufd === null ? true : options.iommufd ? false : null;
  return { ...options, iommufd: next };
}

/** The steps, in order, a line each. */
export function attachSteps({ target, options, assessment, macs }: AttachSubject): string[] {
  const addresses = assessment.devices.map(({ address }) => address);
  const { name } = target;
  const added = (address: string) =>
    options.mac && macs[address] !== undefined ? `${address} with the MAC address ${macs[address]}` : address;
  switch (target.kind) {
    case 'running':
      return addresses.map(
        address =>
          `take ${address} from the host and plug it into ${name}${options.persist ? ', and add it to the definition' : ''}`,
      );
    case 'off':
      return [
        `add ${addresses.map(added).join(', ')} to the definition of ${name}`,
        ...(options.start ? [startText(name, addresses)] : []),
      ];
    case 'new':
      return [
        `create ${name}, with its disks and ${addresses.map(added).join(', ')}`,
        ...(options.start ? [startText(name, addresses)] : []),
      ];
  }
}

function startText(name: string, addresses: readonly string[]): string {
  return `take ${addresses.join(', ')} from the host and start ${name}`;
}
