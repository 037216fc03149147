import type { FwCfgItems } from '../../devices/firmware/fw-cfg-items.ts';
import type { FirmwareSetting } from '../machine/config.ts';
import { BootError } from './boot-error.ts';
import { type FileSources, fileItem } from './file-item.ts';

/**
 * Adds the user's fw_cfg files, like QEMU's -fw_cfg: files that firmware and the guest's programs look up by name
 * (QEMU, docs/specs/fw_cfg.rst; Linux shows them in /sys/firmware/qemu_fw_cfg). They cannot replace files that vring
 * itself provides to firmware.
 * @throws BootError
 */
export function addFirmwareSettings(
  items: FwCfgItems,
  settings: readonly FirmwareSetting[],
  sources: FileSources,
): void {
  for (const { name, path, text = '' } of settings) {
    if (items.file(name) !== null)
      throw new BootError(
        `there is a fw_cfg file ${name} already, of another entry or of vring for the firmware: choose another name`,
      );
    items.setFile(name, path === undefined ? Buffer.from(text) : fileItem(path, 'fw_cfg file', sources));
  }
}
