import type { NetBackend } from '../backends/net.ts';
import type { DeviceFact } from '../device-type.ts';

/** What a card is connected to, as facts for any model. */
export function networkFacts({ label, interface: name, program }: NetBackend): DeviceFact[] {
  return [
    { label: 'network', value: label },
    ...(name === null ? [] : [{ label: 'interface', value: name }]),
    ...(program === null ? [] : [{ label: 'program', value: program }]),
  ];
}
