/** Why a network cannot be opened; the message gives the network, the reason and the next step. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}
