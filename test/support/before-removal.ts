const callbacks: (() => void)[] = [];

/** Calls back once the tests of a file are over, while their temporary folders are still there. */
export function beforeRemoval(callback: () => void): void {
  callbacks.push(callback);
}

export function callBack(): void {
  for (const callback of callbacks.splice(0)) callback();
}
