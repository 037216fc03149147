import {
  type Aml,
  buffer,
  concat,
  device,
  eisaId,
  integer,
  name,
  scope,
  string,
} from '../../devices/acpi/aml.ts';
import {
  arg,
  callMethod,
  equal,
  fieldList,
  giveBack,
  holding,
  ifThen,
  local,
  method,
  mutex,
  named,
  notify,
  otherwise,
  portRegion,
  store,
  whileTrue,
} from '../../devices/acpi/aml-code.ts';
import { CPU_COMMAND, CpuHotplug } from '../../devices/acpi/cpu-hotplug.ts';
import { GPE, PORT } from '../memory/layout.ts';
import { presentProcessor } from './madt.ts';

/** Notifications of a processor's device (ACPI 6.5 §5.6.6). */
const DEVICE_CHECK = 1;
const EJECT_REQUEST = 3;
/** Present, enabled, shown and working (ACPI 6.5 §6.3.7). */
const WORKING = 0xf;

/** The name of a CPU's device. */
function cpuPath(cpu: number): string {
  return `C${cpu.toString(16).toUpperCase().padStart(3, '0')}`;
}

/**
 * The container of the processors, present or not, with the registers (CpuHotplug) and what their devices have in
 * common; the names are QEMU's.
 * @param apicIds by CPU @param nodeOf the NUMA node of a CPU; null without NUMA
 */
export function cpuContainer(apicIds: readonly number[], nodeOf: ((cpu: number) => number) | null): Aml {
  return device(
    'CPUS',
    name('_HID', string('ACPI0010')),
    name('_CID', eisaId('PNP0A05')),
    registers(),
    // CSTA: the status of a CPU.
    method(
      'CSTA',
      1,
      holding(
        'CPLK',
        store(arg(0), named('CSEL')),
        store(integer(0), local(0)),
        ifThen(equal(named('CPEN'), integer(1)), store(integer(WORKING), local(0))),
      ),
      giveBack(local(0)),
    ),
    // CEJ0: a CPU is ejected.
    method('CEJ0', 1, holding('CPLK', store(arg(0), named('CSEL')), store(integer(1), named('CEJE')))),
    // COST: what has become of an event of a CPU.
    method(
      'COST',
      3,
      holding(
        'CPLK',
        store(arg(0), named('CSEL')),
        store(integer(CPU_COMMAND.ostEvent), named('CCMD')),
        store(arg(1), named('CDAT')),
        store(integer(CPU_COMMAND.ostStatus), named('CCMD')),
        store(arg(2), named('CDAT')),
      ),
    ),
    // CTFY: notifies a CPU's device.
    method(
      'CTFY',
      2,
      ...apicIds.map((_, cpu) => ifThen(equal(arg(0), integer(cpu)), notify(named(cpuPath(cpu)), arg(1)))),
    ),
    scanMethod(),
    ...apicIds.map((apicId, cpu) => processor(cpu, apicId, nodeOf)),
  );
}

/** The event that a change causes, edge-triggered. */
export function cpuHotplugEvent(): Aml {
  const event = GPE.cpuHotplug.toString(16).toUpperCase().padStart(2, '0');
  return scope('_GPE', method(`_E${event}`, 0, callMethod('\\_SB.CPUS.CSCN')));
}

function registers(): Aml {
  const BITS = 8;
  return concat(
    portRegion('PRST', PORT.cpuHotplug, CpuHotplug.size),
    fieldList('PRST', 'bytes', [
      [null, 4 * BITS],
      ['CPEN', 1],
      ['CINS', 1],
      ['CRMV', 1],
      ['CEJE', 1],
      [null, 4],
      ['CCMD', BITS],
    ]),
    fieldList('PRST', 'double words', [
      ['CSEL', 4 * BITS],
      [null, 4 * BITS],
      ['CDAT', 4 * BITS],
    ]),
    mutex('CPLK'),
  );
}

/** CSCN: passes each CPU's event on to its device. */
function scanMethod(): Aml {
  const more = local(0);
  const pass = (event: number, flag: string) => [
    callMethod('CTFY', named('CDAT'), integer(event)),
    store(integer(1), named(flag)),
    store(integer(1), more),
  ];
  return method(
    'CSCN',
    0,
    holding(
      'CPLK',
      store(integer(1), more),
      whileTrue(
        equal(more, integer(1)),
        store(integer(0), more),
        store(integer(CPU_COMMAND.nextWithEvent), named('CCMD')),
        ifThen(equal(named('CINS'), integer(1)), ...pass(DEVICE_CHECK, 'CINS')),
        otherwise(ifThen(equal(named('CRMV'), integer(1)), ...pass(EJECT_REQUEST, 'CRMV'))),
      ),
    ),
  );
}

function processor(cpu: number, apicId: number, nodeOf: ((cpu: number) => number) | null): Aml {
  const index = integer(cpu);
  return device(
    cpuPath(cpu),
    name('_HID', string('ACPI0007')),
    name('_UID', index),
    method('_STA', 0, giveBack(callMethod('CSTA', index))),
    name('_MAT', buffer(presentProcessor(cpu, apicId))),
    // The guest boots on the first one, which stays.
    ...(cpu === 0 ? [] : [method('_EJ0', 1, callMethod('CEJ0', index))]),
    method('_OST', 3, callMethod('COST', index, arg(0), arg(1))),
    ...(nodeOf === null ? [] : [name('_PXM', integer(nodeOf(cpu)))]),
  );
}
