import { type BusOptions, PortBus } from '../../devices/bus.ts';
import type { BuiltDevice, DeviceType } from '../../devices/device-type.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import type { MachineServices } from '../../devices/machine-services.ts';
import { PciHost } from '../../devices/pci/pci-host.ts';
import { deviceTable } from '../../devices/registry.ts';
import { buildAcpiTables, RSDP_FILE } from '../acpi/acpi-tables.ts';
import { loadTables } from '../acpi/table-loader.ts';
import type { BootEntry } from '../boot/boot-entry.ts';
import type { ImageFile, ImagePurpose } from '../boot/image-file.ts';
import { loadKernel } from '../boot/load-kernel.ts';
import type { CounterBlocks } from '../counters/counter-blocks.ts';
import { apicIdsOf } from '../cpu/cpu-topology.ts';
import { cpuTopology, createVcpus } from '../cpu/machine-vcpus.ts';
import { Interrupts } from '../interrupts/interrupts.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import { GuestRam } from '../memory/guest-ram.ts';
import { checkHostMemory } from '../memory/host-memory.ts';
import { KvmSlots } from '../memory/kvm-slots.ts';
import * as layout from '../memory/layout.ts';
import { machineMemory } from '../memory/machine-memory.ts';
import { SHADOW_RAM } from '../memory/shadow.ts';
import type { NativeVm } from '../native/native.ts';
import { QueueThreads } from '../native/queue-threads.ts';
import type { Buses } from './answer-exit.ts';
import type { MachineConfig } from './config.ts';
import type { HostFiles } from './host-files.ts';
import type { MachineLoop } from './loop.ts';
import { type MachineHost, machineServices } from './services.ts';
import { mark } from './start-trace.ts';
import type { DeviceLabel } from './topology.ts';

/** What a machine is built on: its native side, its loop, its counters, and its callbacks. */
export type MachineBase = MachineHost & {
  readonly native: NativeVm;
  readonly loop: MachineLoop;
  readonly counters: CounterBlocks;
};

/** A machine that has been built: its vCPUs are at the kernel's first instruction, and have no threads yet. */
export type Machine = {
  readonly vcpus: readonly VcpuFd[];
  readonly buses: Buses;
  readonly devices: readonly BuiltDevice[];
  readonly labels: readonly DeviceLabel[];
  readonly queues: QueueThreads;
};

/** Builds a machine and loads its kernel. @throws an error for the user if its configuration or this host is unsuitable. */
export function buildMachine(config: MachineConfig, base: MachineBase): Machine {
  const { native, counters } = base;
  if (base.files.isFirstBoot) checkHostMemory(config.memory.bytes);
  const kvm = Kvm.of(base.files.openKvm(), native);
  const ram = new GuestRam(native, config.memory);
  const bus: BusOptions = { counters: label => counters.region(label) };
  const { space } = machineMemory(ram, SHADOW_RAM, bus);
  const { memory } = space;
  const vm = createVm(kvm, space);
  mark('VM');
  space.listen({ commit: () => native.setMemory(memory.writableRegions) });
  native.setSeccomp(config.confine !== 'off');

  const interrupts = new Interrupts(vm, base.loop, native, base.warn);
  const queues = new QueueThreads(native);
  const services = machineServices(base, { vm, memory, interrupts, queues });
  const buses: Buses = { ports: new PortBus(bus), memory: space };
  const mmio64 = mmio64Window(ram);
  const pci = pciHost(buses, services, mmio64);
  const parts = addDevices(config, services, buses, pci);

  mark('devices');
  const entry = loadGuest(config, base.files, memory, mmio64, pci, parts);
  mark('kernel');
  const vcpus = createVcpus(config, kvm, vm, entry);
  mark('vCPUs');
  const devices = parts.map(({ built }) => built);
  return { vcpus, buses, devices, labels: parts.map(({ label }) => label), queues };
}

function createVm(kvm: Kvm, space: AddressSpace): VmFd {
  const vm = kvm.createVm();
  // First: adding memory slots takes less than half the time before there are interrupt controllers.
  space.listen(new KvmSlots(vm, kvm.capability('NR_MEMSLOTS')));
  vm.setIdentityMapAddress(layout.KVM_IDENTITY_MAP);
  vm.setTssAddress(layout.KVM_TSS);
  vm.createIrqchip();
  vm.createPit();
  return vm;
}

type Window = { readonly start: number; readonly size: number };

/** The window of 64-bit BARs: above RAM and everything else. */
function mmio64Window(ram: GuestRam): Window {
  const last = ram.regions.at(-1)!;
  const ramEnd = Math.max(last.address + last.size, layout.HIGH_RAM_START);
  const start = Math.ceil(ramEnd / layout.PCI_MMIO64_ALIGN) * layout.PCI_MMIO64_ALIGN;
  return { start, size: layout.PCI_MMIO64_SIZE };
}

function pciHost(buses: Buses, services: MachineServices, memory64: Window): PciHost {
  return new PciHost({
    ...buses,
    configPort: layout.PORT.pciConfigAddress,
    ecam: layout.ECAM,
    windows: { io: layout.PCI_IO, memory32: layout.PCI_MMIO32, memory64 },
    interrupts: {
      first: layout.PCI_INTX_GSI,
      count: layout.PCI_INTX_GSIS,
      line: gsi => services.interruptLine(gsi),
    },
    request: services.request,
  });
}

type Part = { readonly built: BuiltDevice; readonly label: DeviceLabel };

function addDevices(
  config: MachineConfig,
  services: MachineServices,
  buses: Buses,
  pci: PciHost,
): readonly Part[] {
  const names = deviceTable.names(config.devices);
  const made = [
    ...deviceTable.builtinBeside(config.devices).map(type => ({ type, built: type.create(services) })),
    ...config.devices.map((options, index) => ({
      type: deviceTable.rowOf(options),
      built: deviceTable.create(services, options, names[index]!),
    })),
  ];
  const parts = made.map(({ type, built }) => {
    const { device, ports = [], pci: fn } = built;
    for (const { start, size, handler } of ports) buses.ports.claim(device.name, start, size, handler);
    const slot = fn === undefined ? null : pci.plug(fn);
    return { built, label: labelOf(type, built, slot) };
  });
  pci.assign();
  return parts;
}

/** @param slot of PCI bus 0 */
function labelOf(
  { type, title, backend }: DeviceType,
  { device, facts = [] }: BuiltDevice,
  slot: number | null,
): DeviceLabel {
  const pci = slot === null ? null : `00:${slot.toString(16).padStart(2, '0')}.0`;
  return { name: device.name, type, title, backend: backend ?? null, pci, facts };
}

/** Loads ACPI tables, kernel, initrd and command line into RAM. */
function loadGuest(
  config: MachineConfig,
  files: HostFiles,
  memory: GuestMemory,
  mmio64: Window,
  pci: PciHost,
  parts: readonly Part[],
): BootEntry {
  const intxSlots = pci.root.functions.filter(({ fn }) => fn.hasInterruptPin).map(({ slot }) => slot);
  const numa = config.numa.length > 0 && { nodes: config.numa, ram: memory.regions };
  const acpi = buildAcpiTables({
    parts: parts.flatMap(({ built: { acpi } }) => acpi ?? []),
    apicIds: apicIdsOf(cpuTopology(config)),
    mmio64,
    intxSlots,
    ...(numa && { numa }),
  });
  const placed = loadTables(acpi, memory, layout.ACPI_TABLES);

  const images: ImageFile[] = [];
  const open = (path: string, purpose: ImagePurpose) => {
    const image = files.openImage(path, purpose);
    images.push(image);
    return image;
  };
  try {
    const { path, initrd, modules, append } = config.kernel;
    return loadKernel({
      kernel: open(path, 'kernel'),
      initrd: initrd === undefined ? null : open(initrd, 'initrd'),
      modules: modules.map(({ path, commandLine }) => ({ image: open(path, 'module'), commandLine })),
      commandLine: append,
      memory,
      rsdp: placed.get(RSDP_FILE)!,
    });
  } finally {
    for (const image of images) image.close();
  }
}
