import { DeviceTable } from './device-table.ts';
import { vga } from './display/vga/row.ts';
import { acpiPm } from './legacy/acpi-pm.ts';
import { debugConsole, isaDebugcon } from './legacy/debug-console.ts';
import { debugExit, isaDebugExit, postCode } from './legacy/debug-ports.ts';
import { hpet } from './legacy/hpet/row.ts';
import { i8042 } from './legacy/i8042.ts';
import { configuredCom1, isaSerial } from './legacy/isa-serial.ts';
import { isaParallel } from './legacy/parallel.ts';
import { rtc } from './legacy/rtc.ts';
import { com1 } from './legacy/serial.ts';
import { e1000 } from './net/e1000/row.ts';
import { e1000e } from './net/e1000e/row.ts';
import { i82551, i82557b, i82559er } from './net/i8255x/rows.ts';
import { ne2kIsa, ne2kPci } from './net/ne2k/rows.ts';
import { pcnet } from './net/pcnet/row.ts';
import { rtl8139 } from './net/rtl8139/row.ts';
import { pciePciBridge, pciToPciBridge, rootPort } from './pci/bridge-rows.ts';
import { i6300esb } from './platform/i6300esb.ts';
import { pvpanic, pvpanicPci } from './platform/pvpanic.ts';
import { scsiCd, scsiHd } from './scsi/drive-rows.ts';
import { sdCard } from './sd/card/row.ts';
import { sdhciPci } from './sd/host/row.ts';
import { ahci } from './storage/ahci/ahci.ts';
import { ideCd, ideHd, sataCd, sataHd } from './storage/ata/rows.ts';
import { floppyDrive, isaFdc } from './storage/floppy/rows.ts';
import { piix3Ide } from './storage/ide/rows.ts';
import { nvme, nvmeController, nvmeNamespace } from './storage/nvme/rows.ts';
import { tpmCrb, tpmTis } from './tpm/rows.ts';
import { usbKeyboard, usbMouse, usbTablet } from './usb/hid/rows.ts';
import { usbStorage } from './usb/storage/row.ts';
import { qemuXhci } from './usb/xhci/row.ts';
import { vfioPci } from './vfio/vfio-pci.ts';
import { virtioBalloon } from './virtio/balloon/balloon.ts';
import { virtioBlk } from './virtio/blk.ts';
import { virtioGpu, virtioVga } from './virtio/gpu/rows.ts';
import { virtioKeyboard, virtioMouse, virtioTablet } from './virtio/input/rows.ts';
import { virtioNet } from './virtio/net.ts';
import { virtioRng } from './virtio/rng.ts';
import { virtioScsi } from './virtio/scsi.ts';
import { virtConsole, virtioSerial, virtSerialPort } from './virtio/serial/rows.ts';

export type { DeviceConfig } from './device-table.ts';

/** The device models, one line each. */
export const deviceTable = new DeviceTable([
  com1,
  rtc,
  i8042,
  acpiPm,
  postCode,
  debugConsole,
  debugExit,
  virtioBlk,
  virtioNet,
  e1000,
  e1000e,
  ne2kIsa,
  ne2kPci,
  pcnet,
  rtl8139,
  i82551,
  i82557b,
  i82559er,
  virtioRng,
  virtioScsi,
  scsiHd,
  scsiCd,
  ahci,
  sataHd,
  sataCd,
  nvme,
  nvmeController,
  nvmeNamespace,
  piix3Ide,
  ideHd,
  ideCd,
  isaFdc,
  floppyDrive,
  qemuXhci,
  usbKeyboard,
  usbMouse,
  usbTablet,
  usbStorage,
  sdhciPci,
  sdCard,
  virtioBalloon,
  virtioSerial,
  virtConsole,
  virtSerialPort,
  virtioKeyboard,
  virtioMouse,
  virtioTablet,
  vfioPci,
  i6300esb,
  pvpanic,
  pvpanicPci,
  hpet,
  isaDebugExit,
  isaSerial,
  isaParallel,
  isaDebugcon,
  configuredCom1,
  rootPort,
  pciToPciBridge,
  pciePciBridge,
  vga,
  virtioVga,
  virtioGpu,
  tpmTis,
  tpmCrb,
]);
