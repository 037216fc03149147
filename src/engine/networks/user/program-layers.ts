import { NetworkError } from '../../../vmm/backends/net/network-error.ts';
import {
  describeLayers,
  type Layer,
  type LayerName,
  layerOf,
  layerTitle,
  mergeLayers,
} from '../../../vmm/confinement/layer.ts';

/** The layers that vring-net-user applies itself, by their names in its report (native/src/net_user/confine.rs). */
const OWN: Readonly<Record<string, LayerName>> = {
  root: 'empty-root',
  uid: 'uid',
  capabilities: 'capabilities',
  dumpable: 'dumpable',
  landlock: 'landlock',
  seccomp: 'seccomp',
};

/**
 * How a network's program is confined. @param started the layers it was started with
 * @param said its report: `ready`, and each layer that it could not apply with the errno, `landlock:95`
 */
export function programLayers(started: readonly Layer[], said: string): readonly Layer[] {
  const failed = new Map(
    [...said.matchAll(/ (\w+):(\d+)/g)].map(([, layer, errno]) => [layer!, Number(errno)]),
  );
  const asksForUid = process.geteuid?.() === 0;
  const own = Object.entries(OWN)
    .filter(([layer]) => layer !== 'uid' || asksForUid)
    .map(([layer, name]) => layerOf(name, failed.get(layer) ?? 0));
  return mergeLayers(started, own);
}

/** The text for facts. @throws NetworkError if every layer is required and one is missing */
export function programText(layers: readonly Layer[], strictly: boolean): string {
  const missing = layers.find(({ state }) => state === 'unavailable');
  if (strictly && missing !== undefined)
    throw new NetworkError(
      `strict confinement needs ${layerTitle(missing.name)} for vring-net-user, too, which this host does not provide: ${missing.reason}`,
    );
  return `vring-net-user, ${describeLayers(layers)}`;
}
