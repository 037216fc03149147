/** Public ids and names, in the form of pci.ids: what the trees' devices are called. */
export const pciIdsText = `# PCI ids of the test trees
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t73bf  Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]
\tab28  Navi 21/23 HDMI/DP Audio Controller
1022  Advanced Micro Devices, Inc. [AMD]
\t1480  Starship/Matisse Root Complex
\t1481  Starship/Matisse IOMMU
\t1482  Starship/Matisse PCIe Dummy Host Bridge
\t1483  Starship/Matisse GPP Bridge
\t149c  Matisse USB 3.0 Host Controller
\t790b  FCH SMBus Controller
\t790e  FCH LPC Bridge
10de  NVIDIA Corporation
\t10f8  TU104 HD Audio Controller
\t1ad8  TU104 USB 3.1 Host Controller
\t1ad9  TU104 USB Type-C UCSI Controller
\t1e87  TU104 [GeForce RTX 2080 Rev. A]
144d  Samsung Electronics Co Ltd
\ta808  NVMe SSD Controller SM981/PM981/PM983
1a03  ASPEED Technology, Inc.
\t1150  AST1150 PCI-to-PCI Bridge
\t2000  ASPEED Graphics Family
1b36  Red Hat, Inc.
\t000c  QEMU PCIe Root port
8086  Intel Corporation
\t10c9  82576 Gigabit Network Connection
\t\t8086 a03c  Gigabit ET Dual Port Server Adapter
\t1521  I350 Gigabit Network Connection
\t154c  Ethernet Virtual Function 700 Series
\t1572  Ethernet Controller X710 for 10GbE SFP+
\t\t8086 0004  Ethernet Converged Network Adapter X710-4
\t1901  6th-10th Gen Core Processor PCIe Controller (x16)
\t2030  Sky Lake-E PCI Express Root Port A
\t2020  Sky Lake-E DMI3 Registers
\t3e98  CoffeeLake-S GT2 [UHD Graphics 630]
\t3ec2  8th Gen Core Processor Host Bridge/DRAM Registers
\ta1c1  C620 Series Chipset Family LPC Controller
\ta1a3  C620 Series Chipset Family SMBus
\ta304  H370 Chipset LPC/eSPI Controller
C 01  Mass storage controller
\t06  SATA controller
\t\t01  AHCI 1.0
\t08  Non-Volatile memory controller
\t\t02  NVM Express
C 02  Network controller
\t00  Ethernet controller
C 03  Display controller
\t00  VGA compatible controller
\t\t00  VGA controller
C 04  Multimedia controller
\t03  Audio device
C 06  Bridge
\t00  Host bridge
\t01  ISA bridge
\t04  PCI bridge
\t\t00  Normal decode
C 08  Generic system peripheral
\t06  IOMMU
C 0c  Serial bus controller
\t03  USB controller
\t\t30  XHCI
\t05  SMBus
\t80  Serial bus controller
`;

/** Lines of modules.alias as depmod writes them. */
export const modulesAliasText = `# Aliases extracted from modules themselves.
alias pci:v00008086d000010C9sv*sd*bc*sc*i* igb
alias pci:v00008086d00001521sv*sd*bc*sc*i* igb
alias pci:v00008086d00001572sv*sd*bc*sc*i* i40e
alias pci:v00008086d0000154Csv*sd*bc*sc*i* iavf
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci
alias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel
alias pci:v000010DEd*sv*sd*bc03sc00i00* nouveau
alias pci:v000010DEd*sv*sd*bc0Csc80i00* i2c_nvidia_gpu
alias pci:v00001002d000073BFsv*sd*bc*sc*i* amdgpu
alias pci:v00008086d00003E98sv*sd*bc03sc*i* i915
alias pci:v00001A03d*sv*sd*bc03sc*i* ast
alias pci:v00001022d0000790Bsv*sd*bc*sc*i* i2c_piix4
alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci
`;
