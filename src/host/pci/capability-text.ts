import { bytes } from '../../text/units.ts';
import type { AcsCapability, Capability } from './capability-types.ts';

/** The contents of a capability on one line, without its name; '' if only its name is known. */
export function capabilityText(capability: Capability): string {
  switch (capability.kind) {
    case 'pm':
      return `${capability.state}${capability.noSoftReset ? ', no soft reset' : ''}`;
    case 'msi':
      return `${onOff(capability.enabled)}, ${capability.allocated} of ${capability.vectors} vectors`;
    case 'msix':
      return `${onOff(capability.enabled)}, ${capability.vectors} vectors, table in bar ${capability.table.bar}`;
    case 'pcie':
      return [
        capability.type,
        ...(capability.flr ? ['FLR'] : []),
        `payload ${capability.payload} of ${capability.maxPayload}`,
        ...(capability.link ? [`ASPM ${capability.link.aspm}`] : []),
        ...(capability.ariForwarding ? ['ARI forwarding'] : []),
      ].join(', ');
    case 'af':
      return capability.flr ? 'FLR' : '';
    case 'acs':
      return acsText(capability);
    case 'ats':
    case 'pri':
      return onOff(capability.enabled);
    case 'pasid':
      return `${onOff(capability.enabled)}, ${capability.width} bits`;
    case 'serial':
      return capability.serial;
    case 'sriov':
      return `${onOff(capability.enabled)}, ${capability.numVfs} of ${capability.totalVfs} VFs, offset ${capability.offset}, stride ${capability.stride}`;
    case 'resizable-bar':
      return capability.bars
        .map(bar => `bar ${bar.bar} ${bytes(bar.size)} of ${bar.sizes.map(bytes).join(' ')}`)
        .join('; ');
    default:
      return '';
  }
}

const controls: readonly (readonly [keyof AcsCapability, string])[] = [
  ['sourceValidation', 'SV'],
  ['translationBlocking', 'TB'],
  ['requestRedirect', 'RR'],
  ['completionRedirect', 'CR'],
  ['upstreamForwarding', 'UF'],
  ['egressControl', 'EC'],
  ['directTranslated', 'DT'],
];

/** Controls as lspci abbreviates them: `SV+ RR-`; without those that the hardware lacks. */
function acsText(acs: AcsCapability): string {
  return controls
    .filter(([control]) => acs[control] !== 'absent')
    .map(([control, name]) => `${name}${acs[control] === 'on' ? '+' : '-'}`)
    .join(' ');
}

function onOff(on: boolean): string {
  return on ? 'on' : 'off';
}
