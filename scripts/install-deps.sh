#!/usr/bin/env bash
# Installs the packages that the tests and benchmarks need, on Debian and its relatives. Quick if nothing is missing:
# apt isn't run then. vring itself needs none of these.
set -euo pipefail

packages=(
  qemu-system-x86 # the emulated host of test/rig, and the benchmarks' peer
  seabios         # boots disks
  ovmf            # boots disks by UEFI
  dmidecode       # reads our SMBIOS tables back
  ipxe-qemu       # option ROMs that QEMU's network cards load
  busybox-static  # user space of the emulated host and of its guests
  cpio            # initramfs images
  kmod            # module dependencies for those images
  xz-utils        # compressed kernels and modules
  zstd
  e2fsprogs # the emulated host's root disk
  acpica-tools # iasl, which reads our ACPI tables back
  pci.ids      # names of PCI devices
  binutils
  gcc
  g++ # libFuzzer
  make # kernel modules for the emulated host
  libc6-dev
  fio
  tmux
  zsh # completion
  fish
  iproute2
  iputils-ping
  socat # runs the examples of docs/api.md
  qemu-utils  # new VMs from qcow2 images
  eject # ejects CDs in guests
  grub-common # boots guests of the emulated host from their disks
  grub-pc-bin
  genisoimage # cloud-init seeds for guests, by each program that can make them
  xorriso
  cloud-image-utils
  mmdebstrap # a cloud image, its partitions, and a login to its guest
  fdisk
  dosfstools # checks FAT file systems, and mtools reads them
  mtools
  openssh-client
  mandoc # lints the man page
  rpm    # rpmbuild, for packages
  nvme-cli     # gives VFs of the emulated host's NVMe controller queues
  libslirp0    # user-mode networks
  passt
  swtpm # TPMs
  qemu-guest-agent # for guests of the emulated host
  dnsmasq-base # NAT networks
  nftables
  python3-yaml # reads seeds back as cloud-init does
)
# Debian 12's own QEMU 7.2 has no igb, the emulated network card with SR-IOV.
qemu_at_least=1:8.0
backports_list=/etc/apt/sources.list.d/vring-backports.sources

is_installed() {
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

qemu_is_recent() {
  local version
  version=$(dpkg-query --show --showformat='${Version}' qemu-system-x86 2>/dev/null) || return 1
  dpkg --compare-versions "$version" ge "$qemu_at_least"
}

# On Debian 12, the required QEMU and kernel are only in the backports suite.
needs_backports() {
  [[ $(. /etc/os-release && echo "${VERSION_CODENAME:-}") == bookworm ]]
}

backports_are_known() {
  apt-cache policy | grep "n=bookworm-backports" >/dev/null
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install-deps: no apt here, so nothing was installed; tests that need QEMU are skipped unless you install: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if is_installed qemu-system-x86 && ! qemu_is_recent; then
  missing+=(qemu-system-x86)
fi
backports_missing=false
if needs_backports && ! backports_are_known; then
  backports_missing=true
fi
if [[ ${#missing[@]} == 0 && $backports_missing == false ]]; then
  exit 0
fi

if [[ $EUID != 0 ]]; then
  echo "install-deps: these packages are missing and only root can install them: ${missing[*]:-the bookworm-backports suite}; run \`sudo $0\`" >&2
  exit 0
fi

if [[ $backports_missing == true ]]; then
  cat >"$backports_list" <<'SOURCES'
# Written by vring's scripts/install-deps.sh: QEMU 10 and Linux 6.12 for Debian 12.
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
fi

release=()
if needs_backports; then
  release=(--target-release bookworm-backports)
fi
export DEBIAN_FRONTEND=noninteractive
quiet=(-qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
# A broken third-party source must not stop us: what matters is whether the packages below can be installed.
apt-get update "${quiet[@]}" || echo 'install-deps: apt-get update failed; continuing with the existing package lists' >&2
if [[ ${#missing[@]} != 0 ]]; then
  echo "install-deps: installing ${missing[*]}" >&2
  # QEMU's packages depend on each other by version, so upgrade the installed ones too.
  mapfile -t related < <(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' 'qemu-system-*' 'qemu-utils' 'qemu-block-extra' 2>/dev/null |
    sed --quiet 's/^installed //p')
  apt-get install --yes --no-install-recommends "${quiet[@]}" "${release[@]}" "${missing[@]}" "${related[@]}" >/dev/null
fi
