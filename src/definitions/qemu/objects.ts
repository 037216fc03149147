import { likely } from '../../text/nearest.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { TOTALS, takeLimits } from './drives.ts';
import { OptionError } from './error.ts';
import { readMemoryBackend } from './memory.ts';

/** QEMU's internal objects, which no guest sees. */
const HOST_OBJECTS =
  /^(iothread|thread-context|secret|secret_keyring|tls-.*|authz-.*|filter-.*|main-loop|can-bus|input-.*|qtest|colo-.*|can-host-.*)$/;

/** -object. @throws OptionError */
export function readObject(draft: Draft, value: string, place: Place): void {
  const settings = draft.settings(place, value, 'qom-type');
  const type = settings.require('qom-type');
  if (/^memory-backend-(ram|memfd|file)$/.test(type)) {
    readMemoryBackend(draft, type, settings, place);
  } else if (type === 'rng-random' || type === 'rng-builtin') {
    draft.nameRandomSource(place, settings.require('id'));
    settings.prefer('filename', ['/dev/urandom', '/dev/random'], 'random bytes come from the host');
    settings.end();
  } else if (type === 'throttle-group') {
    const limits = takeLimits(settings, ['limits.', 'x-']) ?? undefined;
    draft.nameThrottleGroup(place, settings.require('id'), limits);
    settings.leaveOut({ 'limits.*': TOTALS, 'x-*': TOTALS });
    settings.end();
  } else if (type === 'iommufd') {
    draft.nameIommufd(place, settings.require('id'));
    settings.leaveOut({ fd: 'vring opens /dev/iommu itself' });
    settings.end();
  } else if (HOST_OBJECTS.test(type)) {
    draft.leaveOut(
      place,
      type === 'iothread' ? 'each queue has its own thread' : 'the guest does not see it',
    );
  } else {
    const meant = likely(type, [
      'memory-backend-ram',
      'memory-backend-memfd',
      'memory-backend-file',
      'rng-random',
    ]);
    const advice = meant === null ? 'leave it out' : `did you mean "${meant}"?`;
    throw new OptionError(`vring has no object type ${shown(type)}: ${advice}`);
  }
}
