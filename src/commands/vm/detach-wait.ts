/** How long `vring vm detach` waits. A guest is usually done after a second; native PCI Express hotplug waits for five. */
export const WAIT_SECONDS = 30;
