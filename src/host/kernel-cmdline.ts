import type { HostRoot } from './root.ts';

/** The words of the running kernel's command line; quotes protect blanks. */
export function kernelParameters(root: HostRoot): string[] {
  return splitParameters(root.text('/proc/cmdline', 65_536) ?? '');
}

export function splitParameters(line: string): string[] {
  const words: string[] = line.trim().match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
  const end = words.indexOf('--');
  // What follows `--` is for init, not for the kernel.
  return (end < 0 ? words : words.slice(0, end)).map(word => word.replaceAll('"', ''));
}

/**
 * The values given to a parameter, in order; a parameter without `=` has the value ''. Dashes and underscores are
 * equivalent.
 */
export function parameterValues(parameters: readonly string[], name: string): string[] {
  const wanted = canonical(name);
  return parameters
    .map(word => {
      const equals = word.indexOf('=');
      return equals < 0 ? [word, ''] : [word.slice(0, equals), word.slice(equals + 1)];
    })
    .filter(([key]) => canonical(key!) === wanted)
    .map(([, value]) => value!);
}

/** A parameter's comma-separated options, from all its occurrences: `iommu=pt,force`. */
export function parameterOptions(parameters: readonly string[], name: string): string[] {
  return parameterValues(parameters, name).flatMap(value => value.split(',').filter(Boolean));
}

function canonical(name: string): string {
  return name.replaceAll('-', '_');
}
