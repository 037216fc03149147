/** How long `vring vm detach` waits. A guest usually takes a second; native PCI Express hot plug waits for five. */
export const WAIT_SECONDS = 30;
