import { type Command, Option } from 'commander';
import type { HostRoot } from '../../host/root.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import { listCommand } from '../list-command.ts';
import { withManual } from '../manual.ts';
import type { BindOptions } from './bind.ts';
import type { ChangeOptions, TimedOptions } from './change.ts';
import { withChangeOptions, withTimeout } from './change-options.ts';
import { type HostOptions, openHost, outputWidth, print, withHostOptions } from './host-options.ts';
import type { CheckOptions } from './passthrough-check.ts';
import type { VfCountOptions, VfOptions } from './sriov-set.ts';

/**
 * The commands that inspect and change the host. Their code is loaded when they run, because it takes longer to load than
 * the rest of vring.
 */
export function registerHostCommands(program: Command): void {
  registerPci(program.command('pci').description("Inspect the host's PCI functions"));
  registerIommu(program.command('iommu').description('Inspect IOMMU groups and enable the IOMMU'));
  registerSriov(program.command('sriov').description('Manage SR-IOV virtual functions'));
  registerVfio(program.command('vfio').description('Bind devices to VFIO drivers for passthrough'));
  registerPassthrough(
    program.command('passthrough').description('Check whether devices can be passed through to a VM'),
  );
  registerDoctor(program);
  registerHost(program.command('host').description('Record this host, or restore persisted changes'));
  registerUndo(program);
}

/** The VMs that functions belong to. */
async function owners(root: HostRoot): Promise<DeviceOwners> {
  const { readOwners } = await import('./vm-owners.ts');
  return await readOwners(root);
}

function registerPci(pci: Command): void {
  withHostOptions(listCommand(pci).description('List PCI functions')).action(async (options: HostOptions) => {
    const { listFunctions, functionTable } = await import('./pci-list.ts');
    const root = await openHost(options);
    const functions = listFunctions(root, await owners(root));
    print(options, { functions }, () => functionTable(functions, outputWidth()));
  });
  withHostOptions(
    pci
      .command('show')
      .argument('<address>', 'PCI address (BDF)')
      .description('Show a PCI function in detail'),
  ).action(async (text: string, options: HostOptions) => {
    const { showPci, functionLines } = await import('./pci-show.ts');
    const root = await openHost(options);
    const fn = await showPci(root, text, await owners(root));
    print(options, { function: fn }, () => functionLines(fn, outputWidth()));
  });
  withHostOptions(pci.command('tree').description('Show the bus hierarchy as a tree')).action(
    async (options: HostOptions) => {
      const { listFunctions } = await import('./pci-list.ts');
      const { treeBuses, treeLines } = await import('./pci-tree.ts');
      const functions = listFunctions(await openHost(options));
      print(options, { buses: treeBuses(functions) }, () => treeLines(functions, outputWidth()));
    },
  );
}

function registerIommu(iommu: Command): void {
  withHostOptions(listCommand(iommu).description('List IOMMU groups and why their members share one')).action(
    async (options: HostOptions) => {
      const { listGroups, groupLines } = await import('./iommu.ts');
      const root = await openHost(options);
      const listing = listGroups(root, await owners(root));
      print(options, { groups: listing.groups }, () => groupLines(listing, outputWidth()));
    },
  );
  withChangeOptions(
    iommu.command('enable').description("Enable the IOMMU on the kernel's command line, from the next boot"),
  ).action(async (options: ChangeOptions) => {
    const { enableIommu } = await import('./iommu-enable.ts');
    process.exitCode = await enableIommu(await openHost(options), options);
  });
}

function registerSriov(sriov: Command): void {
  withHostOptions(listCommand(sriov).description('List physical functions and their VFs')).action(
    async (options: HostOptions) => {
      const { listSriov, sriovLines } = await import('./sriov-list.ts');
      const root = await openHost(options);
      const physicalFunctions = await listSriov(root, await owners(root));
      print(options, { physicalFunctions }, () => sriovLines(physicalFunctions, outputWidth()));
    },
  );
  withChangeOptions(
    sriov
      .command('set')
      .argument('<pf>', 'PCI address (BDF) of the physical function')
      .argument('<count>', 'number of VFs; 0 removes them all')
      .description('Set the number of VFs')
      .option('--persist', 'also apply at every boot')
      .addOption(
        new Option('--autoprobe <state>', 'whether host drivers bind to new VFs').choices(['on', 'off']),
      ),
  ).action(async (pf: string, count: string, options: VfCountOptions) => {
    const { setVfCount } = await import('./sriov-set.ts');
    process.exitCode = await setVfCount(await openHost(options), pf, count, options);
  });
  withChangeOptions(
    sriov
      .command('vf')
      .argument('<pf>', 'PCI address (BDF) of the physical function')
      .argument('<index>', 'index of the VF, from 0')
      .argument('<setting...>', 'mac= vlan= qos= trust= spoofchk= state= max-rate= min-rate=')
      .description('Set the MAC address, VLAN and other settings of a VF')
      .option('--persist', 'also apply at every boot'),
  ).action(async (pf: string, index: string, settings: string[], options: VfOptions) => {
    const { setVfAttributes } = await import('./sriov-set.ts');
    process.exitCode = await setVfAttributes(await openHost(options), pf, index, settings, options);
  });
}

function registerVfio(vfio: Command): void {
  withHostOptions(
    listCommand(vfio).description('List devices bound to VFIO drivers, now and after the next boot'),
  ).action(async (options: HostOptions) => {
    const { listVfio, vfioLines } = await import('./vfio-list.ts');
    const root = await openHost(options);
    const listing = await listVfio(root, await owners(root));
    print(options, listing, () => vfioLines(listing, outputWidth()));
  });
  withChangeOptions(
    vfio
      .command('bind')
      .argument('<address...>', 'PCI addresses (BDF)')
      .description('Bind devices to vfio-pci for passthrough')
      .option('--driver <name>', 'vfio-pci, pci-stub or a VFIO variant driver', 'vfio-pci')
      .option('--group', 'include all endpoints of their IOMMU groups')
      .option('--persist', 'also apply at every boot'),
  ).action(async (addresses: string[], options: BindOptions) => {
    const { bindDevices } = await import('./bind.ts');
    process.exitCode = await bindDevices(await openHost(options), addresses, options);
  });
  withChangeOptions(
    vfio
      .command('unbind')
      .argument('<address...>', 'PCI addresses (BDF)')
      .description('Return devices to host drivers')
      .option('--driver <name>', 'driver to bind (default: the kernel chooses)')
      .option('--group', 'include all members of their IOMMU groups')
      .option('--persist', 'also stop binding them at boot'),
  ).action(async (addresses: string[], options: BindOptions) => {
    const { unbindDevices } = await import('./bind.ts');
    process.exitCode = await unbindDevices(await openHost(options), addresses, options);
  });
}

function registerPassthrough(passthrough: Command): void {
  const check = withHostOptions(
    passthrough
      .command('check')
      .argument('[address...]', 'PCI addresses (BDF), or slots such as 02:00 for all functions of a device')
      .description('Check whether functions can be passed through to a VM, and how to make it possible')
      .option('--vm <vm>', 'for this VM: its memory, its vCPUs and, without addresses, its devices')
      .addOption(
        new Option(
          '--iommufd <state>',
          'VFIO interface: iommufd, or groups (default: what the kernel offers)',
        ).choices(['on', 'off']),
      )
      .option('--unsafe-no-iommu', 'accept that without an IOMMU the guest reaches all host memory'),
  ).action(async (addresses: string[], options: CheckOptions) => {
    const { checkPassthrough } = await import('./passthrough-check.ts');
    const { readKnownVms } = await import('./known-vms.ts');
    const root = await openHost(options);
    process.exitCode = await checkPassthrough(root, addresses, options, await readKnownVms(root));
  });
  withManual(check, {
    text: [
      'Every reason is printed with its fix. The exit status is 0 if all functions can be passed, 1 if one ' +
        'cannot, and 2 for wrong usage. Nothing is changed: `vring vfio bind` binds a device now, and a VM binds ' +
        'its devices when it starts.',
    ],
    json: [
      ['possible', 'whether nothing blocks'],
      [
        'devices',
        'each function: `possible`, `reasons`, the `members` of its IOMMU group, `resetMethods`, what the host loses',
      ],
      [
        'reasons',
        'about the host and the VM: `level`, `code`, `subject`, `reason`, and `repair`, a list of commands and advice',
      ],
      ['api', 'the VFIO interface of the first: `group`, `iommufd` or null'],
      ['unsafe', 'whether the guest would reach all host memory'],
      ['plan', 'the plan that binds the functions not bound yet, as `vring vfio bind --json` prints it'],
      ['losses', 'what the VM cannot do while it has the device: `what` and `why`'],
      ['memory', 'bytes that will be pinned, and that may be locked'],
    ],
    examples: [
      { command: 'vring passthrough check 02:00.0', does: 'whether this function can be passed' },
      { command: 'vring passthrough check --vm web', does: 'whether the VM web can get its devices' },
      {
        command: 'vring passthrough check 01:00 --host-root recorded --json',
        does: 'the same for all functions of a device of a recorded host, as JSON',
      },
    ],
  });
}

function registerDoctor(program: Command): void {
  withHostOptions(
    program.command('doctor').description('Check the host for virtualization problems and show fixes'),
  ).action(async (options: HostOptions) => {
    const { diagnose } = await import('../../host/doctor/doctor.ts');
    const { doctorLines } = await import('./doctor.ts');
    const diagnosis = diagnose(await openHost(options));
    print(options, diagnosis, () => doctorLines(diagnosis, outputWidth()));
    process.exitCode = diagnosis.findings.some(finding => finding.state === 'fail') ? 1 : 0;
  });
}

function registerHost(host: Command): void {
  host
    .command('record')
    .argument('<target>', 'a new directory, or a .tar, .tar.gz or .tgz file')
    .description('Record the host state that other commands read, for --host-root')
    .option('--json', 'print JSON (schema: docs/host.md)')
    .action(async (target: string, options: HostOptions) => {
      const { recordHost } = await import('../../host/record.ts');
      const recording = await recordHost(target);
      const kilobytes = Math.ceil(recording.bytes / 1024);
      print(options, recording, () => [
        `recorded ${recording.files} files, ${kilobytes} KiB, to ${recording.target}`,
        'the recording contains IP addresses, MAC addresses and serial numbers of this host',
      ]);
    });
  withTimeout(
    host
      .command('restore')
      .description('Apply changes stored with --persist; a service runs this at boot')
      .option('--json', 'print JSON (schema: docs/host.md)'),
  ).action(async (options: TimedOptions) => {
    const { restore } = await import('./restore.ts');
    process.exitCode = await restore(await openHost({}), options);
  });
}

function registerUndo(program: Command): void {
  withTimeout(
    program
      .command('undo')
      .description('Undo the last host change')
      .option('--json', 'print JSON (schema: docs/host.md)')
      .option('--dry-run', 'show the steps without undoing anything')
      .option('--list', 'list recorded changes, newest first'),
  ).action(async (options: ChangeOptions & { list?: boolean }) => {
    const { undoLast } = await import('./undo.ts');
    process.exitCode = await undoLast(await openHost({}), options);
  });
}
