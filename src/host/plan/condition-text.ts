import { shellText } from '../../text/shell.ts';
import type { Condition } from './plan.ts';

/** The condition in words, for a plan: `0000:02:00.0 is bound to vfio-pci`. */
export function conditionText(condition: Condition): string {
  switch (condition.kind) {
    case 'attribute':
      return condition.value === ''
        ? `${condition.path} is not set`
        : `${condition.path} reads ${condition.value}`;
    case 'driver':
      return condition.driver === null
        ? `${deviceOf(condition.device)} has no driver`
        : `${deviceOf(condition.device)} is bound to ${condition.driver}`;
    case 'host-driver':
      return `${deviceOf(condition.device)} is ${condition.bound ? '' : 'not '}bound to a host driver`;
    case 'module-idle':
      return `no device is bound to a driver of ${condition.module}`;
    case 'vfio-node':
      return `${deviceOf(condition.device)} has ${condition.exists ? 'a' : 'no'} node in /dev/vfio`;
    case 'exists':
      return `${condition.path} ${condition.exists ? 'exists' : 'is gone'}`;
    case 'file':
      return condition.content === null
        ? `${condition.path} does not exist`
        : `${condition.path} reads back as written`;
    case 'contains':
      return `${condition.path} contains ${condition.texts.join(' ')}`;
    case 'module':
      return `module ${condition.module} is ${condition.loaded ? '' : 'not '}loaded`;
    case 'vf-count':
      return `${deviceOf(condition.device)} has ${condition.count} VFs`;
    case 'vf-attribute':
      return `VF ${condition.index} of ${condition.interface} has ${condition.attribute} ${condition.value}`;
    case 'output': {
      const command = shellText(condition.argv);
      const parts = [
        ...condition.has.map(text => `shows ${text}`),
        ...condition.lacks.map(text => `does not show ${text}`),
      ];
      return `"${command}" ${parts.join(' and ')}`;
    }
  }
}

function deviceOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}
