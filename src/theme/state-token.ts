import type { VmState } from '../engine/vm-info.ts';
import type { Token } from './tokens.ts';

/** The style of a VM's state. */
export function stateToken(state: VmState | 'invalid' | 'saved'): Token {
  switch (state) {
    case 'running':
      return 'status.ok';
    case 'crashed':
    case 'stuck':
    case 'invalid':
      return 'status.error';
    case 'saved':
    case 'off':
      return 'text.secondary';
    default:
      return 'status.warning';
  }
}
