import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';

/** -tpmdev. @throws OptionError */
export function readTpmdev(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  if (type !== 'emulator')
    throw new OptionError(`${type} is not supported: start swtpm, and use -tpmdev emulator with its socket`);
  const id = settings.require('id');
  draft.nameTpm(place, id, settings.require('chardev'));
  settings.end();
}

/** The control socket of the swtpm that a -device names. @throws OptionError */
export function tpmSocket(draft: Draft, id: string): string {
  const end = draft.claimChardev(draft.claimTpm(id));
  if (typeof end !== 'object' || end.type !== 'unix' || end.server === true || typeof end.path !== 'string')
    throw new OptionError(`tpmdev=${id}: expected -chardev socket,path=... of its swtpm, without server=on`);
  return end.path;
}
