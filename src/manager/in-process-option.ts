/** The option of a process that runs the VMs itself, and serves no others. */
export const IN_PROCESS = '--in-process';
