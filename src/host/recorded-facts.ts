import * as z from 'zod';

/**
 * What readers need that is not in a regular file. A live root asks the system; a recorded tree has the answers in
 * `/.vring/host.json`.
 */
export const factsSchema = z.object({
  version: z.literal(1),
  recordedAt: z.string(),
  /** Character and block devices in /dev. */
  nodes: z.array(
    z.object({
      path: z.string(),
      kind: z.enum(['character', 'block']),
      major: z.number(),
      minor: z.number(),
      /** Permission bits. */
      mode: z.number(),
      uid: z.number(),
      gid: z.number(),
      /** Whether the recording process could open it for reading and writing. */
      usable: z.boolean(),
    }),
  ),
  /** By interface: addresses with their prefix length, `192.0.2.1/24`. */
  addresses: z.record(z.string(), z.array(z.string())),
  /** The SSH_CONNECTION variables of the recording process and its ancestors. */
  sshConnections: z.array(z.string()),
  /** Paths that the recording process could not read, with the error code. */
  unreadable: z.record(z.string(), z.string()),
  /** Whether network configuration that creates VFs is recorded; older recordings lack it. */
  networkConfig: z.boolean().default(false),
  /** Results of commands, by their words joined with blanks. */
  commands: z.record(z.string(), z.object({ exitCode: z.number(), stdout: z.string(), stderr: z.string() })),
});

export type HostFacts = z.infer<typeof factsSchema>;
export type DeviceNode = HostFacts['nodes'][number];
export type CommandResult = HostFacts['commands'][string];

/** Their path in a recorded tree. */
export const factsPath = '/.vring/host.json';
