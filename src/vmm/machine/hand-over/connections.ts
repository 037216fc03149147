import type { CharConnection } from '../../backends/char/machine-chars.ts';

/** A connected character back end. The fd of a listening socket's client comes with the state, in the order of the list. */
export type HandedConnection = { readonly device: string; readonly hasClient: boolean };

export function handedConnections(connections: readonly CharConnection[]): HandedConnection[] {
  return connections.map(({ device, connection }) => ({ device, hasClient: connection !== 'own' }));
}

/** The fds of the clients. */
export function clientsOf(connections: readonly CharConnection[]): number[] {
  return connections.flatMap(({ connection }) => (connection === 'own' ? [] : [connection.client]));
}

/** @param take returns the next fd */
export function connectionsOf(handed: readonly HandedConnection[], take: () => number): CharConnection[] {
  return handed.map(({ device, hasClient }) => ({
    device,
    connection: hasClient ? { client: take() } : 'own',
  }));
}
