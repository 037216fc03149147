import { type Command, Option } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { listCommand } from '../list-command.ts';
import type { BindOptions } from './bind.ts';
import type { ChangeOptions, TimedOptions } from './change.ts';
import { type HostOptions, openHost, outputWidth, print, withHostOptions } from './host-options.ts';
import type { VfCountOptions, VfOptions } from './sriov-set.ts';

/**
 * The commands that look at the host and change it. What they do is loaded when they run: it takes longer to load
 * than the whole of the rest of vring.
 */
export function registerHostCommands(program: Command): void {
  registerPci(program.command('pci').description("The host's PCI functions"));
  registerIommu(program.command('iommu').description('IOMMU groups'));
  registerSriov(program.command('sriov').description('Virtual functions'));
  registerVfio(program.command('vfio').description('Devices for guests: bind and unbind'));
  registerDoctor(program);
  registerHost(program.command('host').description('Record this host; restore what was persisted'));
  registerUndo(program);
}

/** A command that may change the host. */
function withChangeOptions(command: Command): Command {
  return withTimeout(
    withHostOptions(command)
      .option('--dry-run', 'show every step, and change nothing')
      .option('--force', 'accept what a check blocks, where the kernel allows it'),
  );
}

/** A command that writes to devices. */
function withTimeout(command: Command): Command {
  return command.option(
    '--step-timeout <seconds>',
    'how long the kernel may take to answer a write to a device (default: 60, more for many VFs)',
    text => parseCount(text, '--step-timeout', 1, 86_400),
  );
}

function registerPci(pci: Command): void {
  withHostOptions(listCommand(pci).description('All functions, one a line')).action(
    async (options: HostOptions) => {
      const { listFunctions, functionTable } = await import('./pci-list.ts');
      const functions = listFunctions(await openHost(options));
      print(options, { functions }, () => functionTable(functions, outputWidth()));
    },
  );
  withHostOptions(
    pci
      .command('show')
      .argument('<address>', 'address of the function')
      .description('Everything about one function'),
  ).action(async (text: string, options: HostOptions) => {
    const { showPci, functionLines } = await import('./pci-show.ts');
    const fn = await showPci(await openHost(options), text);
    print(options, { function: fn }, () => functionLines(fn, outputWidth()));
  });
  withHostOptions(pci.command('tree').description('Buses, bridges and what is behind them')).action(
    async (options: HostOptions) => {
      const { listFunctions } = await import('./pci-list.ts');
      const { treeBuses, treeLines } = await import('./pci-tree.ts');
      const functions = listFunctions(await openHost(options));
      print(options, { buses: treeBuses(functions) }, () => treeLines(functions, outputWidth()));
    },
  );
}

function registerIommu(iommu: Command): void {
  withHostOptions(listCommand(iommu).description('Groups, their members, and why they share one')).action(
    async (options: HostOptions) => {
      const { listGroups, groupLines } = await import('./iommu.ts');
      const listing = listGroups(await openHost(options));
      print(options, { groups: listing.groups }, () => groupLines(listing, outputWidth()));
    },
  );
  withChangeOptions(
    iommu
      .command('enable')
      .description("Switch the IOMMU on, on the kernel's command line from the next boot on"),
  ).action(async (options: ChangeOptions) => {
    const { enableIommu } = await import('./iommu-enable.ts');
    process.exitCode = await enableIommu(await openHost(options), options);
  });
}

function registerSriov(sriov: Command): void {
  withHostOptions(listCommand(sriov).description('Physical functions and their VFs')).action(
    async (options: HostOptions) => {
      const { listSriov, sriovLines } = await import('./sriov-list.ts');
      const physicalFunctions = await listSriov(await openHost(options));
      print(options, { physicalFunctions }, () => sriovLines(physicalFunctions, outputWidth()));
    },
  );
  withChangeOptions(
    sriov
      .command('set')
      .argument('<pf>', 'address of the physical function')
      .argument('<count>', 'how many VFs it shall have')
      .description('Set the number of VFs')
      .option('--persist', 'at each boot too')
      .addOption(
        new Option('--autoprobe <state>', 'may host drivers take the new VFs?').choices(['on', 'off']),
      ),
  ).action(async (pf: string, count: string, options: VfCountOptions) => {
    const { setVfCount } = await import('./sriov-set.ts');
    process.exitCode = await setVfCount(await openHost(options), pf, count, options);
  });
  withChangeOptions(
    sriov
      .command('vf')
      .argument('<pf>', 'address of the physical function')
      .argument('<index>', 'which of its VFs, from 0')
      .argument('<setting...>', 'mac= vlan= qos= trust= spoofchk= state= max-rate= min-rate=')
      .description('Set MAC, VLAN and the like of a VF')
      .option('--persist', 'at each boot too'),
  ).action(async (pf: string, index: string, settings: string[], options: VfOptions) => {
    const { setVfAttributes } = await import('./sriov-set.ts');
    process.exitCode = await setVfAttributes(await openHost(options), pf, index, settings, options);
  });
}

function registerVfio(vfio: Command): void {
  withHostOptions(listCommand(vfio).description('Devices bound to vfio-pci, now and after a boot')).action(
    async (options: HostOptions) => {
      const { listVfio, vfioLines } = await import('./vfio-list.ts');
      const listing = listVfio(await openHost(options));
      print(options, listing, () => vfioLines(listing, outputWidth()));
    },
  );
  withChangeOptions(
    vfio
      .command('bind')
      .argument('<address...>', 'addresses of the functions')
      .description("Take devices from the host's drivers, for guests")
      .option('--driver <name>', 'vfio-pci, pci-stub, or a VFIO driver made for the device', 'vfio-pci')
      .option('--group', 'the other endpoints of their IOMMU groups too')
      .option('--persist', 'at each boot too'),
  ).action(async (addresses: string[], options: BindOptions) => {
    const { bindDevices } = await import('./bind.ts');
    process.exitCode = await bindDevices(await openHost(options), addresses, options);
  });
  withChangeOptions(
    vfio
      .command('unbind')
      .argument('<address...>', 'addresses of the functions')
      .description('Give devices back to the host')
      .option('--driver <name>', 'to this driver (default: the one that the kernel finds)')
      .option('--group', 'the other members of their IOMMU groups too')
      .option('--persist', 'forget that they were bound at each boot'),
  ).action(async (addresses: string[], options: BindOptions) => {
    const { unbindDevices } = await import('./bind.ts');
    process.exitCode = await unbindDevices(await openHost(options), addresses, options);
  });
}

function registerDoctor(program: Command): void {
  withHostOptions(
    program.command('doctor').description('What keeps guests from running well, and its repair'),
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
    .description('Write down what the other commands read, for --host-root')
    .option('--json', 'as JSON (docs/host.md has the schema)')
    .action(async (target: string, options: HostOptions) => {
      const { recordHost } = await import('../../host/record.ts');
      const recording = await recordHost(target);
      const kilobytes = Math.ceil(recording.bytes / 1024);
      print(options, recording, () => [
        `recorded ${recording.files} files, ${kilobytes} KiB, to ${recording.target}`,
        'it names network addresses, MAC addresses and serial numbers of this host',
      ]);
    });
  withTimeout(
    host
      .command('restore')
      .description('Bring the devices to what --persist stored; a service does it at each boot')
      .option('--json', 'as JSON (docs/host.md has the schema)'),
  ).action(async (options: TimedOptions) => {
    const { restore } = await import('./restore.ts');
    process.exitCode = await restore(await openHost({}), options);
  });
}

function registerUndo(program: Command): void {
  withTimeout(
    program
      .command('undo')
      .description('Undo the last change of the host')
      .option('--json', 'as JSON (docs/host.md has the schema)')
      .option('--dry-run', 'show what would be done')
      .option('--list', 'show the changes that are kept, newest first'),
  ).action(async (options: ChangeOptions & { list?: boolean }) => {
    const { undoLast } = await import('./undo.ts');
    process.exitCode = await undoLast(await openHost({}), options);
  });
}
