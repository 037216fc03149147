import { modules } from '../pci/modules.ts';
import type { HostRoot } from '../root.ts';

export type ModuleState = {
  readonly name: string;
  /** `available`: this kernel has a module file. `absent`: it has none. */
  readonly state: 'loaded' | 'built-in' | 'available' | 'absent';
  readonly parameters: Readonly<Record<string, string>>;
};

/** Underscores and dashes in module names are equivalent; /sys/module uses underscores. */
export function readModule(root: HostRoot, name: string): ModuleState {
  const canonical = name.replaceAll('-', '_');
  const directory = `/sys/module/${canonical}`;
  const parameters: Record<string, string> = {};
  for (const parameter of root.list(`${directory}/parameters`) ?? []) {
    const value = readParameter(root, `${directory}/parameters/${parameter}`);
    if (value !== null) parameters[parameter] = value;
  }
  return { name: canonical, state: moduleState(root, canonical), parameters };
}

/** Null for parameters that only root may read. */
function readParameter(root: HostRoot, path: string): string | null {
  try {
    return root.attribute(path);
  } catch {
    return null;
  }
}

function moduleState(root: HostRoot, name: string): ModuleState['state'] {
  // Only a module loaded from a file has an initstate.
  if (root.exists(`/sys/module/${name}/initstate`)) return 'loaded';
  const { builtIn, available } = modules(root);
  if (builtIn.has(name)) return 'built-in';
  if (available.has(name)) return 'available';
  return root.exists(`/sys/module/${name}`) ? 'built-in' : 'absent';
}
