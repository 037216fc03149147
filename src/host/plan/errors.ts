import { shellText } from '../text.ts';
import type { Action } from './plan.ts';

/** What the kernel means by an errno of these attributes (drivers/pci/pci-sysfs.c, iov.c, drivers/base/bus.c). */
const meanings: readonly (readonly [attribute: RegExp, code: string, meaning: string])[] = [
  [/\/sriov_numvfs$/, 'ERANGE', 'more VFs than the device has'],
  [/\/sriov_numvfs$/, 'EBUSY', 'it has VFs already, which must go first'],
  [/\/sriov_numvfs$/, 'ENOENT', 'its driver cannot make VFs'],
  [/\/sriov_numvfs$/, 'ENOMEM', 'no bus numbers or memory space are left for its VFs'],
  [/\/unbind$/, 'ENOENT', 'it has no driver'],
  [/\/unbind$/, 'ENODEV', 'it is not bound to this driver'],
  [/\/bind$/, 'ENODEV', 'the driver does not take this device'],
  [/\/bind$/, 'EBUSY', 'it is bound already'],
  [/\/bind$/, 'EINVAL', 'the driver refused this device'],
  [/\/drivers_probe$/, 'ENODEV', 'there is no such device any more'],
];

const general: Readonly<Record<string, string>> = {
  EACCES: 'permission denied: run as root',
  EPERM: 'permission denied: run as root',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  ENOENT: 'it does not exist',
  ENODEV: 'the device has gone',
  EBUSY: 'it is in use',
};

/** What a system call's error means, with its code. */
export function errnoText(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return general[code] ? `${general[code]} (${code})` : message;
}

/** `cannot write 9 to /sys/.../sriov_numvfs: more VFs than the device has (ERANGE)`. */
export function actionError(action: Action, error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  const path = 'path' in action ? action.path : '';
  const meaning = meanings.find(([attribute, errno]) => errno === code && attribute.test(path))?.[2];
  return `cannot ${actionText(action)}: ${meaning ? `${meaning} (${code})` : errnoText(error)}`;
}

/** An action as an instruction: `write vfio-pci to /sys/...`. */
export function actionText(action: Action): string {
  switch (action.kind) {
    case 'write':
      return action.value.trim() === ''
        ? `clear ${action.path} (write an empty line)`
        : `write ${action.value.trim()} to ${action.path}`;
    case 'file':
      return `write the file ${action.path}`;
    case 'remove':
      return `remove ${action.paths.join(' and ')}`;
    case 'run':
      return `run ${shellText(action.argv)}`;
    case 'wait':
      return 'wait';
  }
}
