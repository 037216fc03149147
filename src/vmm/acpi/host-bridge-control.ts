import { type Aml, buffer, integer } from '../../devices/acpi/aml.ts';
import {
  and,
  arg,
  dwordField,
  equal,
  giveBack,
  ifThen,
  local,
  method,
  named,
  not,
  or,
  otherwise,
  store,
  uuid,
} from '../../devices/acpi/aml-code.ts';

/** The interface of _OSC for PCI host bridges (PCI Firmware Specification 3.2 §4.5.1). */
const HOST_BRIDGE = '33db4d5b-1ff7-401c-9657-7441c03dd766';
const REVISION = 1;

/** What a guest may take over (table 4-5): hotplug of root ports, power management events, the Express capability. */
const GRANTED = (1 << 0) | (1 << 2) | (1 << 4);

/** Bits of the status that _OSC returns (ACPI 6.5 §6.2.11). */
const STATUS = { unknownInterface: 1 << 2, unknownRevision: 1 << 3, masked: 1 << 4 } as const;

/** The host bridge's _OSC method: without it, a guest leaves hotplug of root ports to firmware, which does nothing. */
export function hostBridgeControl(): Aml {
  const [interfaceId, revision, capabilities] = [arg(0), arg(1), arg(3)];
  const [status, control, granted] = [named('CDW1'), named('CDW3'), local(0)];
  const report = (bit: number) => or(status, integer(bit), status);
  return method(
    '_OSC',
    4,
    dwordField(capabilities, 0, 'CDW1'),
    ifThen(
      equal(interfaceId, buffer(uuid(HOST_BRIDGE))),
      dwordField(capabilities, 8, 'CDW3'),
      and(control, integer(GRANTED), granted),
      ifThen(not(equal(revision, integer(REVISION))), report(STATUS.unknownRevision)),
      ifThen(not(equal(control, granted)), report(STATUS.masked)),
      store(granted, control),
    ),
    otherwise(report(STATUS.unknownInterface)),
    giveBack(capabilities),
  );
}
