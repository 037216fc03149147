import { type BusOptions, PortBus } from '../../devices/bus.ts';
import type { DeviceConfig, DeviceTable } from '../../devices/device-table.ts';
import type { Flash } from '../../devices/firmware/flash.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import { PAGE } from '../../devices/host-block.ts';
import type { MachineServices } from '../../devices/machine-services.ts';
import { MAX_ROM } from '../../devices/pci/expansion-rom.ts';
import { parsePciAddress, placeDevices } from '../../devices/places.ts';
import { deviceTable } from '../../devices/registry.ts';
import { builtFile } from '../../project-root.ts';
import { RSDP_FILE } from '../acpi/acpi-tables.ts';
import { loadTables, type TableFiles } from '../acpi/table-loader.ts';
import { MachineChars } from '../backends/char/machine-chars.ts';
import type { BootEntry } from '../boot/boot-entry.ts';
import { addFlash } from '../boot/firmware-flash.ts';
import { addFirmwareItems } from '../boot/firmware-items.ts';
import { addKernelItems } from '../boot/firmware-kernel.ts';
import { showFirmware } from '../boot/firmware-rom.ts';
import { addFirmwareSettings } from '../boot/firmware-settings.ts';
import type { ImagePurpose } from '../boot/image-file.ts';
import { loadGuest } from '../boot/load-guest.ts';
import { smbiosFacts, smbiosFiles } from '../boot/smbios.ts';
import { Chipset } from '../chipset/chipset.ts';
import type { CounterBlocks } from '../counters/counter-blocks.ts';
import { physicalAddressBits } from '../cpu/address-bits.ts';
import { apicIdsOf } from '../cpu/cpu-topology.ts';
import { cpuTopology, MachineVcpus } from '../cpu/machine-vcpus.ts';
import { Interrupts } from '../interrupts/interrupts.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import { GuestRam } from '../memory/guest-ram.ts';
import { checkHostMemory } from '../memory/host-memory.ts';
import { HUGEPAGES } from '../memory/hugepages.ts';
import { KvmSlots } from '../memory/kvm-slots.ts';
import * as layout from '../memory/layout.ts';
import { type MachineMemory, machineMemory } from '../memory/machine-memory.ts';
import { QueueMemory } from '../memory/queue-memory.ts';
import type { RamSource } from '../memory/ram-blocks.ts';
import { SHADOW_RAM, SHADOW_ROM } from '../memory/shadow.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { QueueThreads } from '../native/queue-threads.ts';
import type { GivenDevice } from '../vfio/given-devices.ts';
import { HostDevicesWhenNeeded } from '../vfio/host-devices-when-needed.ts';
import { MachineHostDevices } from '../vfio/machine-host-devices.ts';
import { nativeLogs } from '../vhost/native-log.ts';
import { VhostMemory } from '../vhost/vhost-memory.ts';
import type { Buses } from './answer-exit.ts';
import { clockOffset } from './clock-start.ts';
import type { FirmwareBoot, MachineConfig } from './config.ts';
import { loadDeviceModules } from './device-modules.ts';
import type { HostFiles } from './host-files.ts';
import type { MachineLoop } from './loop.ts';
import { MachineClock } from './machine-clock.ts';
import type { MachineParts } from './machine-parts.ts';
import { ALL_SLEEP_STATES, type MachineHost, machineServices } from './services.ts';
import { readSmallFile } from './small-file.ts';
import { mark } from './start-trace.ts';

/** What a machine is built on: its native side, its loop, its counters, and its callbacks. */
export type MachineBase = MachineHost & {
  readonly native: NativeVm;
  readonly loop: MachineLoop;
  readonly counters: CounterBlocks;
  readonly origin: MachineOrigin;
  /** Host devices that it has from the start. */
  readonly hostDevices?: readonly GivenDevice[];
};

/** Where a machine starts: by booting, or from a state that is loaded into it, with RAM that has its contents. */
export type MachineOrigin = { readonly kind: 'boot' } | { readonly kind: 'state'; readonly ram: RamSource };

/**
 * Builds a machine, and loads its kernel if it boots.
 * @throws an error for the user if its configuration or this host is unsuitable.
 */
export function buildMachine(config: MachineConfig, base: MachineBase): MachineParts {
  const { native, counters, files, origin } = base;
  const source: RamSource = origin.kind === 'boot' ? { kind: 'new' } : origin.ram;
  // Memory taken over from another process is already in use.
  if (source.kind !== 'memfd') checkHostMemory(config.memory.bytes);
  const kvm = Kvm.open(native);
  const firmware = config.boot.kind === 'firmware';
  const ram = new GuestRam(native, { ...config.memory, firmware }, source);
  const bus: BusOptions = { counters: label => counters.region(label) };
  const vm = kvm.createVm();
  // First: adding memory slots takes less than half the time before there are interrupt controllers.
  const slots = new KvmSlots(vm, kvm.capability('NR_MEMSLOTS'));
  const shadow = firmware ? SHADOW_ROM : SHADOW_RAM;
  const vhost = new VhostMemory(nativeLogs(native));
  const memory = machineMemory({ ram, slots, queues: new QueueMemory(native), vhost, shadow, bus });
  const { space } = memory;
  const flash = config.boot.kind === 'firmware' ? addFirmware(config.boot, files, memory, base) : null;
  setUpVm(vm);
  mark('VM');
  native.setSeccomp(config.confine !== 'off');

  const interrupts = new Interrupts(vm, base.loop, native, base.warn);
  const queues = new QueueThreads(native);
  const clock = new MachineClock(base.loop);
  const chars = new MachineChars();
  const { hugepages, mergeable } = config.memory;
  const hostDevices = new HostDevicesWhenNeeded(
    () =>
      new MachineHostDevices({
        ...{ native, vm, memory, mergeable, warn: base.warn },
        pageSize: hugepages === undefined ? PAGE : HUGEPAGES[hugepages].bytes,
        later: step => base.loop.at(0n, step),
      }),
  );
  hostDevices.give(base.hostDevices ?? []);
  const services = machineServices(base, {
    ...{
      vm,
      memory,
      vhost,
      interrupts,
      queues,
      clock,
      chars,
      clockOffsetMs: clockOffset(config.clock ?? 'utc', Date.now()),
      sleepStates: config.sleepStates ?? ALL_SLEEP_STATES,
      hostDevices,
    },
    firmware:
      config.boot.kind === 'firmware'
        ? { kind: config.boot.firmware, bootsFrom: [...config.boot.order, ...config.boot.once] }
        : null,
  });
  const vcpus = new MachineVcpus(config, kvm, vm);
  const isPresent = (index: number) => vcpus.isPresent(index);
  const apicIds = apicIdsOf(cpuTopology(config));
  const buses: Buses = { ports: new PortBus(bus), memory: space };
  const last = ram.regions.at(-1)!;
  const chipset = new Chipset({
    ...buses,
    services,
    ramEnd: last.address + last.size,
    addressBits: physicalAddressBits(kvm.supportedCpuid()),
    rootPorts: rootPortsOf(config),
    ...(vcpus.most > config.cpus && { cpus: { apicIds, isPresent } }),
    ...(firmware && { firmware: { ...memory, flash } }),
  });
  const { deviceModules } = config;
  const table =
    deviceModules.length > 0 ? deviceTable.with(...loadDeviceModules(deviceModules)) : deviceTable;
  addDevices(config, table, services, chipset);
  files.checkGiven();
  hostDevices.checkGiven();

  mark('devices');
  if (chipset.q35 !== null)
    addFirmwareItems(chipset.q35.items, config, ram, {
      tables: () => tablesOf(config, ram, chipset, vcpus),
      presentCpus: () => vcpus.indices.length,
      bootCandidates: () => chipset.bootCandidates,
      hasScreen: chipset.screens.length > 0,
    });
  if (chipset.q35 !== null && config.boot.kind === 'firmware') {
    const { items } = chipset.q35;
    const { firmware, kernel, settings } = config.boot;
    const open = (path: string, purpose: ImagePurpose) => files.openImage(path, purpose);
    const sources = { open, warn: base.warn };
    const rom = () => readSmallFile(builtFile('linuxboot.bin'), MAX_ROM);
    if (kernel !== undefined)
      addKernelItems(items, firmware, kernel, { ...sources, memory: space.memory, rom });
    addFirmwareSettings(items, settings, sources);
  }
  const boot = () => loadBoot(config, files, space.memory, chipset, vcpus);
  const entry = origin.kind === 'boot' ? boot() : null;
  mark('kernel');
  vcpus.create(entry);
  mark('vCPUs');
  return {
    ...{ native, kvm, vm, vcpus, ram, memory, interrupts, clock, buses, chipset, queues },
    ...{ table, hostDevices, services, boot, chars },
  };
}

function setUpVm(vm: VmFd): void {
  vm.setIdentityMapAddress(layout.KVM_IDENTITY_MAP);
  vm.setTssAddress(layout.KVM_TSS);
  vm.createIrqchip();
  vm.createPit();
}

function rootPortsOf({ rootPorts: { at, count } }: MachineConfig) {
  const places = at.map(address => parsePciAddress(address)!);
  return {
    at: places.map(({ unit, function: fn }) => ({ slot: unit, function: fn })),
    spare: Math.max(0, count - at.length),
  };
}

/** Creates the devices that every machine has, and those of its configuration. @throws an error for the user */
function addDevices(
  { boot, devices, rootPorts }: MachineConfig,
  table: DeviceTable,
  services: MachineServices,
  chipset: Chipset,
): void {
  checkTypes(devices, table);
  const ports = Math.max(rootPorts.at.length, rootPorts.count);
  const { places, problems } = placeDevices(table, devices, ports);
  const [problem] = problems;
  if (problem !== undefined) {
    const { index, option, message } = problem;
    throw new Error(`device ${devices[index]!.type}: ${option}: ${message}`);
  }
  const names = table.names(devices);
  chipset.attach(
    ...table
      .builtinBeside(devices)
      .filter(({ onlyWithKernel }) => boot.kind === 'kernel' || !onlyWithKernel)
      .map(type => ({ type, built: type.create(services) })),
    ...devices.map((options, index) => ({
      type: table.rowOf(options),
      built: table.create(services, options, names[index]!),
      place: places[index]!,
    })),
  );
  chipset.pci.assign();
  chipset.setCmos();
}

/** @throws an error for the user about a type that neither this program nor a device module has */
function checkTypes(devices: readonly DeviceConfig[], table: DeviceTable): void {
  const unknown = devices.find(({ type }) => table.find(type) === undefined);
  if (unknown === undefined) return;
  const added = table.configurable.filter(({ type }) => deviceTable.find(type) === undefined);
  const types = added.map(({ type }) => type).join(', ');
  throw new Error(
    `there is no device of type "${unknown.type}"${types && `: the device modules add ${types}`}`,
  );
}

/** @returns the flash memory with UEFI's variables; null if it has none. @throws BootError, DiskError */
function addFirmware(
  boot: FirmwareBoot,
  files: HostFiles,
  memory: MachineMemory,
  { native, warn }: Pick<MachineBase, 'native' | 'warn'>,
): Flash | null {
  const image = files.openFirmware(boot);
  try {
    showFirmware(image, memory, native);
    const { file, template } = boot.variables ?? {};
    if (file !== undefined) return addFlash(files.openFlash(file), image.size, memory, native, warn);
    if (template === undefined) return null;
    const start = files.openImage(template, 'firmware');
    try {
      return addFlash(start, image.size, memory, native, warn);
    } finally {
      start.close();
    }
  } finally {
    image.close();
  }
}

function tablesOf(
  config: MachineConfig,
  memory: GuestMemory,
  chipset: Chipset,
  vcpus: MachineVcpus,
): TableFiles {
  const numa = config.numa.length > 0 && { nodes: config.numa, ram: memory.regions };
  return chipset.acpiTables({
    apicIds: apicIdsOf(cpuTopology(config)),
    isPresent: cpu => vcpus.isPresent(cpu),
    ...(numa && { numa }),
  });
}

/** Loads the ACPI tables, and the kernel that the machine boots, into RAM; firmware does all that itself. */
function loadBoot(
  config: MachineConfig,
  files: HostFiles,
  memory: GuestMemory,
  chipset: Chipset,
  vcpus: MachineVcpus,
): BootEntry | 'firmware' {
  if (config.boot.kind === 'firmware') return 'firmware';
  const { start, size } = layout.ACPI_TABLES;
  const tables = tablesOf(config, memory, chipset, vcpus);
  const placed = loadTables(tables, memory, layout.ACPI_TABLES);
  const ends = [...placed].map(([file, address]) => address + tables.files.get(file)!.length);
  const smbiosStart = Math.max(layout.SMBIOS_SEARCH, ...ends);
  loadTables(smbiosFiles(smbiosFacts(config, memory)), memory, {
    start: smbiosStart,
    size: start + size - smbiosStart,
  });
  const open = (path: string, purpose: ImagePurpose) => files.openImage(path, purpose);
  const [textMode = null] = chipset.screens.flatMap(screen => screen.textMode ?? []);
  return loadGuest(config.boot, { open, memory, rsdp: placed.get(RSDP_FILE)!, textMode });
}
