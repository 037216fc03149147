/** How a machine's vCPUs appear to its guest: threads of cores of sockets. Their product is the number of vCPUs. */
export type CpuTopology = { readonly sockets: number; readonly cores: number; readonly threads: number };

/** Most vCPUs that a machine can have. */
export function maxCpus({
  cpus,
  maxCpus,
}: {
  readonly cpus: number;
  readonly maxCpus?: number | undefined;
}): number {
  return maxCpus ?? cpus;
}

/** One socket with all vCPUs as cores of one thread. */
export function coresOnly(vcpus: number): CpuTopology {
  return { sockets: 1, cores: vcpus, threads: 1 };
}

/** Bits of an APIC ID for the thread within its core: the lowest ones. */
export function threadBits({ threads }: CpuTopology): number {
  return Math.ceil(Math.log2(threads));
}

/** Bits of an APIC ID for the core within its socket, above those of the thread. */
export function coreBits({ cores }: CpuTopology): number {
  return Math.ceil(Math.log2(cores));
}

/**
 * The APIC IDs of the vCPUs, with threads of a core side by side. Thread, core and socket have separate bits (SDM vol.
 * 3 §10.9.1), so there are gaps if the number of threads or cores is not a power of two. With up to 64 vCPUs they stay
 * below 255, the broadcast ID.
 */
export function apicIdsOf(topology: CpuTopology): number[] {
  const { sockets, cores, threads } = topology;
  return Array.from({ length: sockets * cores * threads }, (_, index) => {
    const thread = index % threads;
    const core = Math.floor(index / threads) % cores;
    const socket = Math.floor(index / (threads * cores));
    return (((socket << coreBits(topology)) | core) << threadBits(topology)) | thread;
  });
}

/** The socket, core and thread that have this APIC ID. */
export function coordinatesOf(topology: CpuTopology, apicId: number) {
  const core = apicId >>> threadBits(topology);
  return {
    socket: core >>> coreBits(topology),
    core: core & (2 ** coreBits(topology) - 1),
    thread: apicId & (2 ** threadBits(topology) - 1),
  };
}
