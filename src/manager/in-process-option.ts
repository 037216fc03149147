/** The option of a process that runs the VMs itself and has no other clients. */
export const IN_PROCESS = '--in-process';
