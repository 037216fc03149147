import type { NetBackend } from '../backends/net.ts';
import type { DeviceFact } from '../device-type.ts';

/** What a card of any model is connected to. */
export function networkFacts({ label, interface: name, program }: NetBackend): DeviceFact[] {
  return [
    { label: 'network', value: label },
    ...(name === null ? [] : [{ label: 'interface', value: name }]),
    ...(program === null ? [] : [{ label: 'program', value: program }]),
  ];
}
