import type { VmInfo } from '../engine/vm-info.ts';
import { describeLayers, type Layer, layerTitle } from '../vmm/confinement/layer.ts';

const STATES: Readonly<Record<Layer['state'], string>> = {
  on: 'on',
  off: 'off',
  unavailable: 'not available',
};

/** The process of a VM's machine, and a summary of its confinement; null if it has none. */
export function processText({ pid, confinement }: Pick<VmInfo, 'pid' | 'confinement'>): string | null {
  if (pid === null) return null;
  return confinement === null ? String(pid) : `${pid}, ${describeLayers(confinement)}`;
}

/** The VNC server of its screen, and a summary of its confinement; null if it has none, or not yet. */
export function vncText({ servedVnc }: Pick<VmInfo, 'servedVnc'>): string | null {
  return servedVnc === undefined ? null : `${servedVnc.address}, ${describeLayers(servedVnc.confinement)}`;
}

/** A line for each layer: `seccomp: on`, or `uid of its own: not available (only root can run ...)`. */
export function layerLines(layers: readonly Layer[] | null): string[] {
  return (layers ?? []).map(({ name, state, reason }) => {
    const why = reason === null ? '' : ` (${reason})`;
    return `${layerTitle(name)}: ${STATES[state]}${why}`;
  });
}
