/** QEMU's names of a virtio device: on PCI, or on the bus of a microvm machine. */
export function virtioNames(name: string): string[] {
  return ['-pci', '-pci-non-transitional', '-pci-transitional', '', '-device'].map(
    end => `virtio-${name}${end}`,
  );
}
