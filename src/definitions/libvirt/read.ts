import type { XmlElement } from '@rgrove/parse-xml';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { keyProblems } from '../issues.ts';
import { keyPath } from '../key-path.ts';
import { plainName } from '../plain-name.ts';
import { type Definition, type DefinitionInput, definition } from '../schema.ts';
import { shown } from '../words.ts';
import { readCpus } from './cpus.ts';
import { readDevices } from './devices.ts';
import { DomainDocument, type LeftOut, LibvirtError } from './document.ts';
import { readClock, readMemory, readOs, readSleepStates } from './machine.ts';
import { readNuma } from './numa.ts';
import { readSysinfo } from './sysinfo.ts';

export type ImportedDomain = {
  readonly definition: Definition;
  /** What was left out of the definition, in the order of the file. */
  readonly leftOut: readonly LeftOut[];
};

/**
 * The definition that a libvirt domain (`virsh dumpxml NAME`) describes.
 * @param file the name of the text in messages
 * @param name the VM's name, instead of the domain's
 * @throws LibvirtError
 */
export function readDomain(xml: string, file: string, name?: string): ImportedDomain {
  const document = new DomainDocument(xml, file);
  const domain = document.root;
  document.skip(domain, 'type', 'id');
  const { machine, boot } = readOs(document, domain);
  const devices = readDevices(document, domain);
  const input: DefinitionInput = {
    name: readName(document, domain, name),
    ...readDescription(document, domain),
    memory: readMemory(document, domain),
    cpus: readCpus(document, domain),
    ...readNuma(document, domain),
    machine: {
      ...machine,
      ...readClock(document, domain),
      ...readSleepStates(document, domain),
      ...readSysinfo(document, domain),
    },
    ...devices,
    ...(boot && { boot }),
    ...readEvents(document, domain),
  };
  document.skip(document.child(domain, 'os'));
  const parsed = definition.safeParse(input, { reportInput: true });
  if (parsed.success) return { definition: parsed.data, leftOut: document.leftOut() };
  const problems = keyProblems(parsed.error.issues, input);
  throw new LibvirtError(
    problems.map(({ path, message }) => `${file}: ${keyPath(path)}: ${message}`).join('; '),
  );
}

/** <name>: characters that VM names cannot have are replaced. @throws LibvirtError */
function readName(document: DomainDocument, domain: XmlElement, instead: string | undefined): string {
  const element = document.child(domain, 'name');
  const given = document.text(element);
  if (instead !== undefined) return instead;
  if (given === null)
    throw document.error(element ?? domain, 'the domain has no name: give it one with --name');
  const name = plainName(given);
  if (name === null)
    throw document.error(
      element!,
      `expected ${VM_NAME.rule}, not ${shown(given)}: give it another with --name`,
    );
  if (name !== given) document.leaveOut(element!, `${VM_NAME.rule}: it becomes ${name}`);
  return name;
}

/** The first line of <title> or <description>. */
function readDescription(document: DomainDocument, domain: XmlElement): { description?: string } {
  for (const key of ['title', 'description']) {
    const text = document.text(document.child(domain, key))?.split('\n')[0]?.trim();
    if (text) return { description: text.slice(0, 500) };
  }
  return {};
}

/** <on_crash> and <on_reboot>; <on_poweroff> offers no choice. */
function readEvents(document: DomainDocument, domain: XmlElement): Partial<DefinitionInput> {
  const off = document.child(domain, 'on_poweroff');
  if (off?.text.trim() === 'destroy') document.skip(off);
  const crash = document.child(domain, 'on_crash');
  const onCrash = document.text(crash);
  if (onCrash !== null && !['destroy', 'preserve', 'restart'].includes(onCrash)) {
    document.leaveOut(crash!, 'after a crash a VM can be kept or restarted');
  }
  const reboot = document.child(domain, 'on_reboot');
  const onReboot = document.text(reboot);
  if (onReboot !== null && !['destroy', 'restart'].includes(onReboot)) {
    document.leaveOut(reboot!, 'on a reboot a VM can be restarted or stopped');
  }
  return {
    ...(onCrash === 'restart' && { 'on-crash': 'restart' }),
    ...(onReboot === 'destroy' && { 'on-reboot': 'stop' }),
  };
}
