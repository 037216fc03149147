import { shellText } from '../../text/shell.ts';
import type { Action } from './plan.ts';

/** What an errno of these attributes means (drivers/pci/pci-sysfs.c, iov.c, drivers/base/bus.c). */
const meanings: readonly (readonly [attribute: RegExp, code: string, meaning: string])[] = [
  [/\/sriov_numvfs$/, 'ERANGE', 'more VFs than the device has'],
  [/\/sriov_numvfs$/, 'EBUSY', 'it already has VFs, which must be removed first'],
  [/\/sriov_numvfs$/, 'ENOENT', 'its driver does not support VFs'],
  [/\/sriov_numvfs$/, 'ENOMEM', 'no bus numbers or memory space are left for its VFs'],
  [/\/unbind$/, 'ENOENT', 'it has no driver'],
  [/\/unbind$/, 'ENODEV', 'it is not bound to this driver'],
  [/\/bind$/, 'ENODEV', 'the driver does not support this device'],
  [/\/bind$/, 'EBUSY', 'it is already bound'],
  [/\/bind$/, 'EINVAL', 'the driver refused this device'],
  [/\/drivers_probe$/, 'ENODEV', 'the device is gone'],
];

const general: Readonly<Record<string, string>> = {
  EACCES: 'permission denied: run as root',
  EPERM: 'permission denied: run as root',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is exceeded',
  ENOENT: 'it does not exist',
  ENODEV: 'the device is gone',
  EBUSY: 'it is in use',
  EISDIR: 'it is a directory, not a file',
  ENOTDIR: 'a part of its path is not a directory',
  ELOOP: 'its symbolic links form a loop',
};

/** The meaning of a system call error, with its code. */
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
