/** Start lines as public scripts, wikis and management programs have them, by where such are found. */
export const START_LINES: Readonly<Record<string, string>> = {
  'kernel developer': `qemu-system-x86_64 -enable-kvm -cpu host -m 2G -smp 4 -nographic -no-reboot -kernel arch/x86/boot/bzImage
    -initrd initramfs.cpio.gz -append "console=ttyS0 panic=-1 nokaslr" -s`,
  virtme: `qemu-system-x86_64 -machine accel=kvm:tcg -M q35 -device i6300esb,id=watchdog0 -parallel none -net none -smp 2 -m 1G
    -cpu host -echr 1 -serial none -chardev stdio,id=console,signal=off,mux=on -serial chardev:console -mon chardev=console
    -vga none -display none -kernel /boot/vmlinuz -append "earlyprintk=serial,ttyS0,115200 init=/bin/sh"`,
  syzkaller: `qemu-system-x86_64 -m 2048 -smp 2,sockets=2,cores=1 -chardev socket,id=SOCKSYZ,server=on,wait=off,host=localhost,port=5000
    -mon chardev=SOCKSYZ,mode=control -display none -serial stdio -no-reboot -name VM-0 -device virtio-rng-pci -enable-kvm
    -cpu host,migratable=off -device e1000,netdev=net0
    -netdev user,id=net0,restrict=off,hostfwd=tcp:127.0.0.1:10021-:22 -hda image.img -snapshot -kernel bzImage
    -append "root=/dev/sda console=ttyS0"`,
  'syzbot reproducer': `qemu-system-x86_64 -m 2G -smp 2 -kernel bzImage -append "console=ttyS0 root=/dev/sda earlyprintk=serial net.ifnames=0"
    -drive file=bullseye.img,format=raw -net user,host=10.0.2.10,hostfwd=tcp:127.0.0.1:10021-:22 -net nic,model=e1000 -enable-kvm
    -nographic -pidfile vm.pid`,
  'kvm-unit-tests': `qemu-system-x86_64 --no-reboot -nodefaults -device pc-testdev -device isa-debug-exit,iobase=0xf4,iosize=0x4
    -vnc none -serial stdio -device pci-testdev -machine accel=kvm -kernel x86/apic.flat -smp 2 -cpu qemu64,+x2apic,+tsc-deadline
    -machine kernel_irqchip=split`,
  'buildroot start-qemu.sh': `qemu-system-x86_64 -M pc -kernel bzImage -drive file=rootfs.ext2,if=virtio,format=raw
    -append "rootwait root=/dev/vda console=tty1 console=ttyS0" -serial stdio -net nic,model=virtio -net user -nographic`,
  'yocto runqemu': `qemu-system-x86_64 -device virtio-net-pci,netdev=net0,mac=52:54:00:12:34:02
    -netdev tap,id=net0,ifname=tap0,script=no,downscript=no -object rng-random,filename=/dev/urandom,id=rng0
    -device virtio-rng-pci,rng=rng0 -drive file=core-image.ext4,if=virtio,format=raw -usb -device usb-tablet -usb -device usb-kbd
    -cpu IvyBridge -machine q35,i8042=off -smp 4 -enable-kvm -m 256 -serial mon:stdio -serial null -nographic
    -kernel bzImage -append "root=/dev/vda rw ip=192.168.7.2::192.168.7.1:255.255.255.0 console=ttyS0 swiotlb=0"`,
  'cloud image quickstart': `qemu-system-x86_64 -machine accel=kvm,type=q35 -cpu host -m 2G -nographic
    -device virtio-net-pci,netdev=net0 -netdev user,id=net0,hostfwd=tcp::2222-:22
    -drive if=virtio,format=qcow2,file=noble-server-cloudimg-amd64.img -drive if=virtio,format=raw,file=seed.img`,
  'cloud-init documentation': `qemu-system-x86_64 -net nic -net user -machine accel=kvm:tcg -m 512 -nographic -hda jammy.raw
    -smbios type=1,serial=ds='nocloud;s=http://10.0.2.2:8000/'`,
  'OVMF run script': `qemu-system-x86_64 -enable-kvm -m 1024 -machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on
    -global ICH9-LPC.disable_s3=1 -drive if=pflash,format=raw,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd,readonly=on
    -drive if=pflash,format=raw,unit=1,file=my_vars.fd -debugcon file:debug.log -global isa-debugcon.iobase=0x402 -net none
    -drive file=fat.img,format=raw`,
  'edk2 -bios': 'qemu-system-x86_64 -L . -bios OVMF.fd -hda disk.raw -nographic -net none',
  'macOS-Simple-KVM': `qemu-system-x86_64 -enable-kvm -m 2G -machine q35,accel=kvm -smp 4,cores=2
    -cpu Penryn,vendor=GenuineIntel,kvm=on,+sse3,+sse4.2,+aes,+xsave,+avx,+xsaveopt,+xsavec,+xgetbv1,+avx2,+bmi2,+smep,+bmi1,+fma,+movbe,+invtsc
    -device isa-applesmc,osk="x" -smbios type=2
    -drive if=pflash,format=raw,readonly=on,file=firmware/OVMF_CODE.fd -drive if=pflash,format=raw,file=firmware/OVMF_VARS-1024x768.fd
    -vga qxl -device ich9-intel-hda -device hda-output -usb -device usb-kbd -device usb-mouse
    -netdev user,id=net0 -device e1000-82545em,netdev=net0,id=net0,mac=52:54:00:c9:18:27 -device ich9-ahci,id=sata
    -drive id=ESP,if=none,format=qcow2,file=ESP.qcow2 -device ide-hd,bus=sata.2,drive=ESP`,
  'Proxmox qm showcmd': `/usr/bin/kvm -id 100 -name 'web,debug-threads=on' -no-shutdown
    -chardev 'socket,id=qmp,path=/var/run/qemu-server/100.qmp,server=on,wait=off' -mon 'chardev=qmp,mode=control'
    -chardev 'socket,id=qmp-event,path=/var/run/qmeventd.sock,reconnect=5' -mon 'chardev=qmp-event,mode=control'
    -pidfile /var/run/qemu-server/100.pid -daemonize -smbios 'type=1,uuid=0c9f0a3c-4b1f-4b0c-8d2e-3f7c4c6d9a01'
    -smp '4,sockets=1,cores=4,maxcpus=4' -nodefaults -boot 'menu=on,strict=on,reboot-timeout=1000,splash=/usr/share/qemu-server/bootsplash.jpg'
    -vnc 'unix:/var/run/qemu-server/100.vnc,password=on' -cpu qemu64,+aes,enforce,+kvm_pv_eoi,+kvm_pv_unhalt,+pni,+popcnt,+sse4.1,+sse4.2,+ssse3
    -m 2048 -object 'iothread,id=iothread-virtioscsi0' -global 'PIIX4_PM.disable_s3=1' -global 'PIIX4_PM.disable_s4=1'
    -device 'pci-bridge,id=pci.1,chassis_nr=1,bus=pci.0,addr=0x1e' -device 'piix3-usb-uhci,id=uhci,bus=pci.0,addr=0x1.0x2'
    -device 'usb-tablet,id=tablet,bus=uhci.0,port=1' -chardev 'socket,id=serial0,path=/var/run/qemu-server/100.serial0,server=on,wait=off'
    -device 'isa-serial,chardev=serial0' -device 'virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3,free-page-reporting=on'
    -iscsi 'initiator-name=iqn.1993-08.org.debian:01:abc' -drive 'if=none,id=drive-ide2,media=cdrom,aio=io_uring'
    -device 'ide-cd,bus=ide.1,unit=0,drive=drive-ide2,id=ide2,bootindex=101'
    -device 'virtio-scsi-pci,id=virtioscsi0,bus=pci.3,addr=0x1,iothread=iothread-virtioscsi0'
    -drive 'file=/dev/pve/vm-100-disk-0,if=none,id=drive-scsi0,format=raw,cache=none,aio=io_uring,detect-zeroes=on'
    -device 'scsi-hd,bus=virtioscsi0.0,channel=0,scsi-id=0,lun=0,drive=drive-scsi0,id=scsi0,bootindex=100'
    -netdev 'type=tap,id=net0,ifname=tap100i0,script=/var/lib/qemu-server/pve-bridge,downscript=/var/lib/qemu-server/pve-bridgedown,vhost=on'
    -device 'virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=256'
    -machine 'type=pc+pve0'`,
  'libvirt and OpenStack': `/usr/bin/qemu-system-x86_64 -name guest=instance-00000001,debug-threads=on -S
    -object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-1/master-key.aes"}'
    -machine pc-i440fx-6.2,usb=off,dump-guest-core=off,memory-backend=pc.ram -accel kvm
    -cpu Cascadelake-Server,ss=on,vmx=on,pdcm=on,hypervisor=on,tsc-adjust=on,umip=on,pku=on,md-clear=on,stibp=on,arch-capabilities=on,xsaves=on,ibpb=on,ibrs=on,amd-stibp=on,amd-ssbd=on,rdctl-no=on,ibrs-all=on,skip-l1dfl-vmentry=on,mds-no=on,pschange-mc-no=on,tsx-ctrl=on,hle=off,rtm=off
    -m 2048 -object '{"qom-type":"memory-backend-ram","id":"pc.ram","size":2147483648}' -overcommit mem-lock=off
    -smp 1,sockets=1,dies=1,cores=1,threads=1 -uuid 6c3d6a3e-7d0a-4b7e-8f0e-2f1f9d1c2a11
    -smbios 'type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version=25.0,serial=6c3d6a3e,uuid=6c3d6a3e-7d0a-4b7e-8f0e-2f1f9d1c2a11,family=Virtual Machine'
    -no-user-config -nodefaults -chardev socket,id=charmonitor,fd=35,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control
    -rtc base=utc,driftfix=slew -global kvm-pit.lost_tick_policy=delay -no-hpet -no-shutdown -boot strict=on
    -device piix3-usb-uhci,id=usb,bus=pci.0,addr=0x1.0x2
    -blockdev '{"driver":"file","filename":"/var/lib/nova/instances/1/disk","aio":"native","node-name":"libvirt-1-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}'
    -blockdev '{"node-name":"libvirt-1-format","read-only":false,"cache":{"direct":true,"no-flush":false},"driver":"raw","file":"libvirt-1-storage"}'
    -device virtio-blk-pci,bus=pci.0,addr=0x4,drive=libvirt-1-format,id=virtio-disk0,bootindex=1,write-cache=on
    -netdev tap,fd=37,id=hostnet0,vhost=on,vhostfd=39 -device virtio-net-pci,host_mtu=1442,netdev=hostnet0,id=net0,mac=fa:16:3e:00:00:01,bus=pci.0,addr=0x3
    -add-fd set=3,fd=34 -chardev pty,id=charserial0,logfile=/dev/fdset/3,logappend=on -device isa-serial,chardev=charserial0,id=serial0
    -device usb-tablet,id=input0,bus=usb.0,port=1 -audiodev '{"id":"audio1","driver":"none"}' -vnc 0.0.0.0:0,audiodev=audio1
    -device virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x5 -object rng-random,id=objrng0,filename=/dev/urandom
    -device virtio-rng-pci,rng=objrng0,id=rng0,bus=pci.0,addr=0x6 -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny
    -device vmcoreinfo -msg timestamp=on`,
  'libvirt with huge pages and one node': `qemu-system-x86_64 -name guest=db -machine q35,usb=off -m size=1048576k
    -object '{"qom-type":"memory-backend-file","id":"ram-node0","mem-path":"/dev/hugepages/libvirt/qemu/1-db","share":true,"prealloc":true,"size":1073741824}'
    -numa node,nodeid=0,cpus=0-3,memdev=ram-node0 -smp 4,sockets=1,cores=4,threads=1 -mem-prealloc -nodefaults
    -device '{"driver":"pcie-root-port","port":16,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x2"}'
    -blockdev '{"driver":"host_device","filename":"/dev/vg0/db","node-name":"s1","read-only":false}'
    -device '{"driver":"virtio-blk-pci","bus":"pci.1","addr":"0x0","drive":"s1","id":"virtio-disk0","num-queues":4,"bootindex":1}'
    -kernel /boot/vmlinuz -append root=/dev/vda`,
  'vfio GPU passthrough': `qemu-system-x86_64 -nodefaults -enable-kvm -machine q35,kernel_irqchip=on -rtc base=localtime,driftfix=slew
    -cpu host,kvm=off,hv_relaxed,hv_spinlocks=0x1fff,hv_vapic,hv_time,hv_vendor_id=whatever -smp 8,sockets=1,cores=4,threads=2
    -m 8G -mem-path /dev/hugepages -mem-prealloc -bios /usr/share/ovmf/OVMF.fd
    -device ioh3420,bus=pcie.0,addr=1c.0,multifunction=on,port=1,chassis=1,id=root.1
    -device vfio-pci,host=01:00.0,bus=root.1,addr=00.0,multifunction=on,x-vga=on,romfile=/root/vbios.rom
    -device vfio-pci,host=01:00.1,bus=root.1,addr=00.1 -vga none -display none -parallel none -serial none -monitor stdio
    -drive file=win.raw,if=virtio,format=raw,cache=none,aio=native -drive file=virtio-win.iso,media=cdrom,index=2
    -netdev tap,id=n0,br=br0,helper=/usr/lib/qemu/qemu-bridge-helper -device virtio-net-pci,netdev=n0
    -object input-linux,id=kbd1,evdev=/dev/input/event3,grab_all=on,repeat=on`,
  'Windows installer': `qemu-system-x86_64 -enable-kvm -cpu host,hv_relaxed,hv_spinlocks=0x1fff,hv_vapic,hv_time -m 4G -smp 4
    -drive file=win10.qcow2,format=qcow2,if=virtio -cdrom win10.iso -drive file=virtio-win.iso,index=3,media=cdrom -boot d
    -vga std -usbdevice tablet -device intel-hda -device hda-duplex -net nic,model=virtio -net user -localtime -k de`,
  'Windows 11': `qemu-system-x86_64 -machine q35,smm=on -cpu host -m 8G -smp 4 -chardev socket,id=chrtpm,path=/tmp/tpm/swtpm-sock
    -tpmdev emulator,id=tpm0,chardev=chrtpm -device tpm-tis,tpmdev=tpm0 -drive file=w11.raw,format=raw -bios OVMF.fd`,
  'Gentoo wiki': `qemu-system-x86_64 -enable-kvm -cpu host -drive file=Gentoo.img,if=virtio,format=raw -netdev user,id=vmnic,hostname=Gentoo-VM
    -device virtio-net,netdev=vmnic -device virtio-rng-pci -m 512M -smp 2 -monitor stdio -name "Gentoo VM" -boot d -cdrom install.iso`,
  'Arch wiki': `qemu-system-x86_64 -cdrom archlinux.iso -boot order=d -drive file=disk.img,format=raw -m 4G -enable-kvm
    -audiodev pipewire,id=snd0 -device virtio-net-pci,netdev=n0 -netdev user,id=n0 -display sdl -full-screen`,
  'Arch wiki, virtio-fs': `qemu-system-x86_64 -m 4G -object memory-backend-memfd,id=mem,size=4G,share=on -numa node,memdev=mem
    -chardev socket,id=char0,path=/tmp/vhostqemu -device vhost-user-fs-pci,queue-size=1024,chardev=char0,tag=myfs -kernel vmlinuz`,
  FreeBSD: `qemu-system-x86_64 -m 2048 -smp 2 -accel kvm -accel tcg -drive file=FreeBSD.raw,if=virtio,format=raw -bios edk2-x86_64-code.fd
    -serial mon:stdio -nographic -netdev tap,id=net0,ifname=tap0,script=no -device virtio-net-pci,netdev=net0`,
  OpenBSD: `qemu-system-x86_64 -enable-kvm -m 2048 -cpu kvm64 -drive media=cdrom,file=install75.iso,readonly=on
    -drive file=openbsd.raw,media=disk,format=raw -nic user,model=e1000,hostfwd=tcp::2222-:22 -nographic`,
  'Debian installer': `kvm -m 1G -hda debian.raw -cdrom netinst.iso -boot once=d -net nic,model=virtio,macaddr=52:54:00:00:00:01 -net user
    -display curses`,
  'firecracker-like microvm': `qemu-system-x86_64 -M microvm,x-option-roms=off,pit=off,pic=off,isa-serial=off,rtc=off -enable-kvm -cpu host -m 512m
    -smp 2 -kernel vmlinux -append "console=hvc0 root=/dev/vda" -nodefaults -no-user-config -nographic
    -chardev stdio,id=virtiocon0 -device virtio-serial-device -device virtconsole,chardev=virtiocon0
    -drive id=test,file=test.img,format=raw,if=none -device virtio-blk-device,drive=test
    -netdev tap,id=tap0,script=no,downscript=no -device virtio-net-device,netdev=tap0`,
  'two nodes': `qemu-system-x86_64 -m 2G -smp 4 -object memory-backend-ram,size=1G,id=m0 -object memory-backend-ram,size=1G,id=m1
    -numa node,nodeid=0,memdev=m0,cpus=0-1 -numa node,nodeid=1,memdev=m1,cpus=2-3 -numa dist,src=0,dst=1,val=20 -kernel vmlinuz`,
  'NVMe and 9p': `qemu-system-x86_64 -m 1G -kernel bzImage -drive file=nvme.img,if=none,id=nvm,format=raw -device nvme,serial=deadbeef,drive=nvm
    -virtfs local,path=/srv,mount_tag=host0,security_model=none -nographic`,
  'Fedora CoreOS': `qemu-kvm -m 2048 -cpu host -nographic -snapshot -drive if=virtio,file=fcos.qcow2,format=qcow2
    -fw_cfg name=opt/com.coreos/config,file=config.ign -nic user,model=virtio,hostfwd=tcp::2222-:22`,
  'own kernel with modules': `qemu-system-x86_64 -kernel kernel.elf -initrd "hello.elf 1 2,data.bin" -serial file:out.log -d int,cpu_reset -D qemu.log
    -no-reboot -no-shutdown -display none -device isa-debug-exit,iobase=0xf4,iosize=0x04 -debugcon stdio`,
};

/** The words of a line of a shell: quotes hold words together. */
export function shellWords(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]+|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double),
  );
}
