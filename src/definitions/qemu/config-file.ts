import { own } from '../../text/own.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';

/** The options whose groups have other names in files (QEMU, system/vl.c and util/qemu-config.c). */
const OPTIONS: Readonly<Record<string, string>> = {
  memory: 'm',
  'smp-opts': 'smp',
  'boot-opts': 'boot',
  acpi: 'acpitable',
};

/** More than any file that describes a machine. */
export const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * The words of the options in a file of -readconfig: `[device "ehci"]` with lines such as `driver = "ich9-usb-ehci1"`
 * becomes `-device id=ehci,driver=ich9-usb-ehci1` (qemu_config_foreach() in util/qemu-config.c).
 * @throws OptionError naming the file and the line
 */
export function configWords(text: string, file: string): string[] {
  const groups: { readonly option: string; readonly settings: string[] }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const group = /^\[\s*([\w.-]+)(?:\s+"([^"]+)")?\s*\]$/.exec(content);
    if (group !== null) {
      const [, name = '', id] = group;
      if (name === 'readconfig' || name === 'writeconfig')
        throw new OptionError(`${file}:${index + 1}: a file cannot name another one`);
      groups.push({
        option: own(OPTIONS, name) ?? name,
        settings: id === undefined ? [] : [`id=${commas(id)}`],
      });
      continue;
    }
    const setting = /^([\w.-]+)\s*=\s*"([^"]*)"$/.exec(content);
    const [, key, value = ''] = setting ?? [];
    if (key === undefined || groups.length === 0)
      throw new OptionError(
        `${file}:${index + 1}: expected a group such as [device "disk"], or a setting such as addr = "1d.7", not ${shown(content)}`,
      );
    groups.at(-1)!.settings.push(`${key}=${commas(value)}`);
  }
  return groups.flatMap(({ option, settings }) => [`-${option}`, settings.join(',')]);
}

/** As in a value of an option. */
function commas(value: string): string {
  return value.replaceAll(',', ',,');
}
