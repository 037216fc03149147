import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { kernelParameterEdits } from '../../../src/host/boot/kernel-parameters.ts';
import { amdTree } from '../trees/amd.ts';
import { bootOption, bootTree, debianGrub, loaderVariable, ukiImage } from '../trees/boot.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { serverTree } from '../trees/server.ts';
import { edits, notGrub, nothing, plan, refusal, wanted } from './parameter-plans.ts';

describe('GRUB', () => {
  const defaults = 'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n';
  const config = (line: string) =>
    `### BEGIN /etc/grub.d/10_linux ###\nmenuentry 'A' {\n\tlinux\t/vmlinuz ${line}\n}\n### END /etc/grub.d/10_linux ###\n` +
    "### BEGIN /etc/grub.d/30_os-prober ###\nmenuentry 'B' {\n\tlinux /vmlinuz root=/dev/sdb1\n}\n### END /etc/grub.d/30_os-prober ###\n";

  test('is configured only if the generated file has the parameters too', () => {
    const tree = (line: string) => debianGrub(defaults, { '/boot/grub/grub.cfg': config(line) });
    expect(plan(tree(`root=/dev/sda1 ${wanted}`))).toEqual(nothing);
    const stale = edits(tree('root=/dev/sda1'));
    expect(stale.files).toEqual([]);
    expect(stale.commands[0]).toMatchObject({
      argv: ['/usr/sbin/update-grub'],
      reason:
        '/etc/default/grub already has the parameters, but /boot/grub/grub.cfg has not been regenerated since',
      result: { kind: 'file', path: '/boot/grub/grub.cfg', has: ['intel_iommu=on', 'iommu=pt'] },
    });
    expect(plan(debianGrub(defaults)).commands).toEqual(['/usr/sbin/update-grub']);
  });

  test('recovery entries need not have the parameters', () => {
    const both =
      `### BEGIN /etc/grub.d/10_linux ###\nmenuentry 'Debian' {\n\tlinux /vmlinuz root=/dev/sda1 ro ${wanted}\n}\n` +
      "submenu 'Advanced' {\nmenuentry 'Debian (recovery mode)' {\n\tlinux /vmlinuz root=/dev/sda1 ro single\n}\n}\n### END /etc/grub.d/10_linux ###\n";
    const text = `GRUB_CMDLINE_LINUX_DEFAULT="${wanted}"\n`;
    expect(plan(debianGrub(text, { '/boot/grub/grub.cfg': both }))).toEqual(nothing);
  });

  test('has grub2-mkconfig write the file that this host boots from', () => {
    const files = {
      '/etc/default/grub': 'GRUB_CMDLINE_LINUX_DEFAULT="splash=silent quiet"\nGRUB_CMDLINE_LINUX=""\n',
      '/usr/sbin/grub2-mkconfig': '',
      '/boot/grub2/grub.cfg': 'menuentry\n',
      '/boot/efi/EFI/opensuse-tumbleweed/grub.cfg': 'configfile $prefix/grub.cfg\n',
    };
    expect(plan(bootTree('suse', files))).toEqual({
      files: { '/etc/default/grub': expect.stringContaining(`GRUB_CMDLINE_LINUX="${wanted}"`) },
      commands: ['/usr/sbin/grub2-mkconfig -o /boot/grub2/grub.cfg'],
    });
  });

  test('0.97: edits each kernel line except rescue entries', () => {
    expect(plan(noIommuTree()).files['/boot/grub/grub.conf']).toBe(
      'default=0\ntimeout=5\ntitle CentOS (2.6.32)\n\troot (hd0,0)\n' +
        `\tkernel /vmlinuz-2.6.32 ro root=/dev/sda1 crashkernel=auto ${wanted}\n\tinitrd /initramfs-2.6.32.img\n`,
    );
    const menu =
      'title A\n kernel /a ro root=/dev/sda1\ntitle B\n kernel /b ro single\ntitle C\n kernel /memtest\n';
    expect(plan(bootTree('rhel', { '/boot/grub/menu.lst': menu })).files['/boot/grub/menu.lst']).toBe(
      menu.replace('sda1', `sda1 ${wanted}`),
    );
  });
});

describe('grubby', () => {
  const entry = (options: string, name = '6.12') =>
    `title Linux\nversion ${name}\nlinux /vmlinuz-${name}\ninitrd /initramfs-${name}.img\noptions ${options}\n`;
  const host = (files: Record<string, string>) => bootTree('rhel', { '/usr/sbin/grubby': '', ...files });

  test('adds only missing parameters, and undo removes only those', () => {
    const made = serverTree();
    made.file('/proc/cmdline', 'root=/dev/sda1 iommu=pt\n');
    expect(edits(made)).toMatchObject({
      files: [],
      commands: [
        {
          argv: ['/usr/sbin/grubby', '--update-kernel=ALL', '--args=intel_iommu=on'],
          undo: ['/usr/sbin/grubby', '--update-kernel=ALL', '--remove-args=intel_iommu=on'],
        },
      ],
    });
  });

  test('reads the entries, not the running kernel', () => {
    const path = '/boot/loader/entries/a-6.12.conf';
    expect(plan(host({ [path]: entry(`root=/dev/sda2 ${wanted}`) }))).toEqual(nothing);
    expect(plan(host({ [path]: entry('root=/dev/sda2 ro') })).commands).toEqual([
      `/usr/sbin/grubby --update-kernel=ALL '--args=${wanted}'`,
    ]);
  });

  test('keeps other options of the same parameter', () => {
    const path = '/boot/loader/entries/a-6.12.conf';
    const { commands } = edits(host({ [path]: entry('root=/dev/sda2 intel_iommu=igfx_off iommu=pt') }));
    expect(commands[0]).toMatchObject({
      argv: expect.arrayContaining(['--remove-args=intel_iommu=igfx_off', '--args=intel_iommu=on,igfx_off']),
      undo: expect.arrayContaining(['--remove-args=intel_iommu=on,igfx_off', '--args=intel_iommu=igfx_off']),
    });
    expect(plan(host({ [path]: entry(`root=/dev/sda2 intel_iommu=on,sm_on iommu=pt`) }))).toEqual(nothing);
  });

  test('on hosts without boot entries reads the generated file', () => {
    const line = (words: string) => `menuentry 'A' {\n\tlinux16 /vmlinuz-3.10 ${words}\n}\n`;
    const rescue = "menuentry 'Rescue' {\n\tlinux16 /vmlinuz-0-rescue-1 ro\n}\n";
    const config = (...lines: string[]) => ({ '/boot/grub2/grub.cfg': lines.join('') });
    expect(plan(host(config(line(`ro ${wanted}`), rescue)))).toEqual(nothing);
    expect(plan(host(config(line(`ro ${wanted}`), line('ro iommu=pt')))).commands).toEqual([
      '/usr/sbin/grubby --update-kernel=ALL --args=intel_iommu=on',
    ]);
  });

  test('reads kernelopts of the environment block', () => {
    const files = { '/boot/loader/entries/a-6.12.conf': entry('$kernelopts $tuned_params') };
    const environment = (words: string) => ({
      '/boot/grub2/grubenv': `# GRUB Environment Block\nkernelopts=${words}\n###`,
    });
    expect(plan(host({ ...files, ...environment(`root=/dev/sda2 ${wanted}`) }))).toEqual(nothing);
    expect(plan(host({ ...files, ...environment('root=/dev/sda2 iommu=pt') })).commands).toEqual([
      '/usr/sbin/grubby --update-kernel=ALL --args=intel_iommu=on',
    ]);
  });

  test('RHEL 8: all entries share kernelopts, which new kernels get too, so that only ALL keeps the parameters', () => {
    const files = {
      '/boot/loader/entries/m-4.18.conf': entry('$kernelopts $tuned_params', '4.18'),
      '/boot/loader/entries/m-0-rescue.conf': entry('$kernelopts', '0-rescue-123'),
      '/boot/grub2/grubenv': '# GRUB Environment Block\nkernelopts=root=/dev/sda2 ro\n',
    };
    expect(edits(host(files))).toMatchObject({
      files: [],
      commands: [{ argv: ['/usr/sbin/grubby', '--update-kernel=ALL', `--args=${wanted}`] }],
      notes: ['the rescue entry gets them, too: it uses the same kernelopts'],
    });
    const apart = {
      ...files,
      '/boot/loader/entries/m-0-rescue.conf': entry('root=/dev/sda2', '0-rescue-123'),
    };
    expect(plan(host(apart)).commands).toEqual([
      `/usr/sbin/grubby --update-kernel=/boot/vmlinuz-4.18 '--args=${wanted}'`,
    ]);
  });

  test('RHEL 7 with UEFI: the generated file is in the directory of Red Hat', () => {
    const menu = (words: string) => `menuentry 'A' {\n\tlinuxefi /vmlinuz-3.10 ${words}\n}\n`;
    const path = '/boot/efi/EFI/redhat/grub.cfg';
    expect(plan(host({ [path]: menu(`ro ${wanted}`) }))).toEqual(nothing);
    expect(plan(host({ [path]: menu('ro iommu=pt') })).commands).toEqual([
      '/usr/sbin/grubby --update-kernel=ALL --args=intel_iommu=on',
    ]);
  });

  test('leaves the rescue entry alone', () => {
    const files = {
      '/boot/loader/entries/m-6.12.conf': entry('root=/dev/sda2 ro'),
      '/boot/loader/entries/m-0-rescue.conf': entry('root=/dev/sda2 ro', '0-rescue-123'),
      '/etc/kernel/cmdline': 'root=/dev/sda2 ro\n',
    };
    expect(plan(host(files))).toEqual({
      files: { '/etc/kernel/cmdline': `root=/dev/sda2 ro ${wanted}\n` },
      commands: [`/usr/sbin/grubby --update-kernel=/boot/vmlinuz-6.12 '--args=${wanted}'`],
    });
  });
});

describe('boot entries', () => {
  test('of this host are edited, except rescue entries, and the line for later kernels', () => {
    const tree = amdTree();
    const { files } = kernelParameterEdits(tree.root(), { add: ['iommu=pt'], remove: ['amd_iommu=off'] });
    tree.remove();
    expect(files.map(file => file.path)).toEqual([
      '/boot/loader/entries/fedora-6.12.conf',
      '/etc/kernel/cmdline',
    ]);
    expect(files[0]!.after).toBe(files[0]!.before.replace('subvol=root', 'subvol=root iommu=pt'));
    expect(files[1]!.after).toBe('root=/dev/mapper/luks-root ro rootflags=subvol=root iommu=pt\n');
  });

  test('of other systems and firmware programs are left alone', () => {
    const tree = bootTree(
      'arch',
      {
        '/efi/loader/entries/arch.conf':
          'title Arch\nlinux /vmlinuz-linux\noptions root=/dev/sda2\toptions=x\noptions quiet\n',
        '/efi/loader/entries/other.conf': 'title Other\nlinux /other/vmlinuz\noptions root=/dev/sdb1\n',
        '/efi/loader/entries/memtest.conf': 'title Memtest\nefi /EFI/memtest.efi\noptions root=/dev/sda2\n',
        '/efi/loader/entries/bare.conf': 'title Bare\nlinux /vmlinuz-bare',
      },
      notGrub,
    );
    expect(plan(tree)).toEqual({
      files: {
        '/efi/loader/entries/arch.conf': `title Arch\nlinux /vmlinuz-linux\noptions root=/dev/sda2\toptions=x\noptions quiet ${wanted}\n`,
      },
      commands: [],
    });
  });

  test('may be indented, and may start the kernel as a program of the firmware', () => {
    const files = {
      '/boot/loader/entries/a.conf': '  title A\n\tlinux /vmlinuz-linux\n  options root=/dev/sda2\n',
      '/boot/loader/entries/b.conf': 'title B\nefi /vmlinuz-linux\noptions initrd=\\i.img root=/dev/sda2\n',
    };
    expect(plan(bootTree('arch', files, notGrub)).files).toEqual({
      '/boot/loader/entries/a.conf': files['/boot/loader/entries/a.conf'].replace('sda2', `sda2 ${wanted}`),
      '/boot/loader/entries/b.conf': files['/boot/loader/entries/b.conf'].replace('sda2', `sda2 ${wanted}`),
    });
  });

  test('are edited if systemd-boot booted the host, even if GRUB is installed', () => {
    const files = {
      '/etc/default/grub': 'GRUB_CMDLINE_LINUX=""\n',
      '/usr/bin/grub-mkconfig': '',
      '/boot/loader/entries/arch.conf': 'title Arch\nlinux /vmlinuz-linux\noptions root=/dev/sda2\n',
    };
    const booted = (...more: Record<string, Buffer>[]) =>
      Object.keys(
        plan(bootTree('arch', Object.assign({}, files, ...more), more.length > 0 ? notGrub : undefined))
          .files,
      );
    expect(booted()).toEqual(['/etc/default/grub']);
    expect(booted(loaderVariable('LoaderInfo', 'systemd-boot 255.4-2-arch'))).toEqual([
      '/boot/loader/entries/arch.conf',
    ]);
    expect(booted(bootOption('\\EFI\\systemd\\systemd-bootx64.efi'))).toEqual([
      '/boot/loader/entries/arch.conf',
    ]);
    expect(booted(bootOption('\\EFI\\GRUB\\grubx64.efi'))).toEqual(['/etc/default/grub']);
  });
});

describe('Proxmox', () => {
  const files = {
    '/etc/kernel/cmdline': 'root=ZFS=rpool/ROOT/pve-1 boot=zfs\n',
    '/etc/kernel/proxmox-boot-uuids': 'AAAA-BBBB\n',
    '/usr/sbin/proxmox-boot-tool': '',
    '/usr/sbin/update-grub': '',
    '/etc/default/grub': 'GRUB_CMDLINE_LINUX=""\n',
  };

  test('with GRUB reads /etc/default/grub, with systemd-boot /etc/kernel/cmdline', () => {
    const commands = ['/usr/sbin/proxmox-boot-tool refresh'];
    expect(plan(bootTree('debian', files))).toEqual({
      files: { '/etc/default/grub': `GRUB_CMDLINE_LINUX="${wanted}"\n` },
      commands,
    });
    expect(
      plan(bootTree('debian', files, 'initrd=\\EFI\\proxmox\\initrd root=ZFS=rpool/ROOT/pve-1\n')),
    ).toEqual({
      files: { '/etc/kernel/cmdline': `root=ZFS=rpool/ROOT/pve-1 boot=zfs ${wanted}\n` },
      commands,
    });
  });

  test('reads only the first line of /etc/kernel/cmdline', () => {
    const two = { ...files, '/etc/kernel/cmdline': `root=ZFS=r\n${wanted}\n` };
    expect(plan(bootTree('debian', two, notGrub)).files).toEqual({
      '/etc/kernel/cmdline': `root=ZFS=r ${wanted}\n${wanted}\n`,
    });
  });

  test('with unmounted partitions is configured if the running kernel has the parameters', () => {
    const done = { ...files, '/etc/kernel/cmdline': `root=ZFS=r ${wanted}\n` };
    expect(plan(bootTree('debian', done, `root=ZFS=r ${wanted}\n`))).toEqual(nothing);
    expect(plan(bootTree('debian', done, notGrub))).toEqual({
      files: {},
      commands: ['/usr/sbin/proxmox-boot-tool refresh'],
    });
  });
});

describe('unified kernel images', () => {
  const image = '/efi/EFI/Linux/arch-linux.efi';
  const lines = '# root on luks\nrd.luks.name=1111=root root=/dev/mapper/root\nrw quiet\n';
  const arch = (files: Record<string, string | Buffer>) =>
    bootTree(
      'arch',
      {
        [image]: ukiImage('root=/dev/mapper/root rw'),
        '/usr/bin/mkinitcpio': '',
        '/etc/mkinitcpio.d/linux.preset': `PRESETS=('default')\ndefault_uki="${image}"\n`,
        ...files,
      },
      notGrub,
    );

  test('mkinitcpio: comments and lines are kept, and the images are rebuilt', () => {
    expect(
      plan(arch({ '/etc/kernel/cmdline': lines, '/efi/loader/entries/m.conf': 'title M\nefi /m.efi\n' })),
    ).toEqual({
      files: { '/etc/kernel/cmdline': lines.replace('quiet', `quiet ${wanted}`) },
      commands: ['/usr/bin/mkinitcpio -P'],
    });
  });

  test('are configured only if the image has the parameters', () => {
    const line = `root=/dev/mapper/root ${wanted}`;
    const cmdline = { '/etc/kernel/cmdline': `${line}\n` };
    expect(plan(arch({ ...cmdline, [image]: ukiImage(line) }))).toEqual(nothing);
    expect(edits(arch(cmdline)).commands).toMatchObject([
      {
        argv: ['/usr/bin/mkinitcpio', '-P'],
        reason: '/etc/kernel/cmdline already has the parameters, but the image does not',
        result: { kind: 'file', path: image },
      },
    ]);
    expect(plan(arch({ ...cmdline, [image]: 'MZ' })).commands).toEqual(['/usr/bin/mkinitcpio -P']);
  });

  test('mkinitcpio: drop-ins are read after the file, and edited if they have the parameter', () => {
    const files = {
      '/etc/kernel/cmdline': 'root=/dev/mapper/root\n',
      '/etc/cmdline.d/iommu.conf': '# mine\nintel_iommu=off\n',
    };
    expect(plan(arch(files)).files).toEqual({ '/etc/cmdline.d/iommu.conf': `# mine\n${wanted}\n` });
    const only = { '/etc/cmdline.d/a.conf': '# nothing yet' };
    expect(plan(arch(only)).files).toEqual({ '/etc/cmdline.d/a.conf': `# nothing yet\n${wanted}\n` });
  });

  test('kernel-install with ukify or dracut', () => {
    const files = {
      [image]: ukiImage('root=/dev/sda2'),
      '/usr/bin/kernel-install': '',
      '/usr/bin/dracut': '',
      '/etc/kernel/install.conf': 'layout=uki\n',
      '/etc/kernel/cmdline': 'root=/dev/sda2\n',
    };
    expect(plan(bootTree('fedora', files, notGrub))).toEqual({
      files: { '/etc/kernel/cmdline': `root=/dev/sda2 ${wanted}\n` },
      commands: ['/usr/bin/kernel-install add-all'],
    });
    const own = { ...files, '/etc/dracut.conf.d/x.conf': 'kernel_cmdline="root=/dev/sda2"\n' };
    expect(refusal(bootTree('fedora', own, notGrub))).toMatch(
      /dracut.conf.d\/x.conf sets .*kernel-install add-all/,
    );
  });

  test('kernel-install: drop-ins of its files count, and ukify may be configured to read the same file', () => {
    const files = {
      [image]: ukiImage('root=/dev/sda2'),
      '/usr/bin/kernel-install': '',
      '/usr/lib/kernel/install.conf': 'layout=compat\n',
      '/etc/kernel/install.conf.d/10-uki.conf': '# mine\nlayout=uki\nuki_generator=ukify\n',
      '/etc/kernel/cmdline': 'root=/dev/sda2\n',
      '/etc/kernel/uki.conf': '[UKI]\nCmdline = @/etc/kernel/cmdline\n',
    };
    const commands = ['/usr/bin/kernel-install add-all'];
    expect(plan(bootTree('fedora', files, notGrub)).commands).toEqual(commands);
    const own = { ...files, '/etc/kernel/uki.conf.d/x.conf': '[UKI]\nCmdline=root=/dev/sda2 quiet\n' };
    expect(refusal(bootTree('fedora', own, notGrub))).toContain('/etc/kernel/uki.conf.d/x.conf sets');
  });

  test('mkinitcpio: presets that build none do not rebuild the image of another program', () => {
    const preset = 'default_image="/boot/initramfs-linux.img"\n#default_uki="/efi/EFI/Linux/a.efi"\n';
    const files = { '/etc/mkinitcpio.d/linux.preset': preset, '/etc/kernel/cmdline': 'root=/dev/sda2\n' };
    expect(refusal(arch(files))).toContain('nothing on this host is set up to rebuild it');
    const option = {
      ...files,
      '/etc/mkinitcpio.d/linux.preset': 'default_options="-S autodetect --uki /x.efi"\n',
    };
    expect(plan(arch(option)).commands).toEqual(['/usr/bin/mkinitcpio -P']);
  });

  test('dracut by itself does not read /etc/kernel/cmdline', () => {
    const files = {
      [image]: ukiImage('root=/dev/sda2'),
      '/usr/bin/dracut': '',
      '/etc/dracut.conf.d/uefi.conf': 'hostonly="yes"\nuefi="yes"\n',
      '/etc/kernel/cmdline': 'root=/dev/sda2\n',
    };
    expect(refusal(bootTree('debian', files, notGrub))).toMatch(
      /kernel_cmdline is not set; manual step: set kernel_cmdline .* to all parameters: .*, and "intel_iommu=on iommu=pt"; then run/,
    );
    const own = { ...files, '/usr/lib/dracut/dracut.conf.d/x.conf': 'kernel_cmdline="root=/dev/sda2"\n' };
    expect(refusal(bootTree('debian', own, notGrub))).toContain('dracut.conf.d/x.conf sets');
  });

  test('built by a distribution are refused, even if other tools are installed', () => {
    const files = {
      [image]: ukiImage('root=/dev/sda2'),
      '/usr/sbin/grubby': '',
      ...loaderVariable('StubInfo', 'systemd-stub 256'),
    };
    expect(refusal(bootTree('fedora', files, notGrub))).toContain(
      'nothing on this host is set up to rebuild it',
    );
  });

  test('the suggested command quotes the path of an image', () => {
    const files = {
      '/efi/EFI/Linux/my image.efi': ukiImage('root=/dev/sda2'),
      ...loaderVariable('StubInfo', 'systemd-stub 256'),
    };
    expect(refusal(bootTree('fedora', files, notGrub))).toContain(
      "ukify build --cmdline=... --output '/efi/EFI/Linux/my image.efi.extra.d/iommu.addon.efi'",
    );
  });

  test('a missing command line file is not created', () => {
    expect(refusal(arch({}))).toMatch(
      /cmdline does not exist; manual step: write .* then run \/usr\/bin\/mkinitcpio -P/,
    );
  });
});

describe('OSTree', () => {
  const files = {
    '/etc/default/grub': 'GRUB_CMDLINE_LINUX="rhgb quiet"\nGRUB_ENABLE_BLSCFG=true\n',
    '/usr/sbin/grub2-mkconfig': '',
    '/usr/bin/rpm-ostree': '',
    '/run/ostree-booted': '',
  };
  const entry = (words: string) => ({
    '/boot/loader/entries/ostree-1-fedora.conf':
      'title 1\nlinux /ostree/o\noptions root=UUID=1 ostree=/ostree/boot.1/1\n',
    '/boot/loader/entries/ostree-2-fedora.conf': `title 2\nlinux /ostree/n\noptions root=UUID=1 ${words} ostree=/ostree/boot.1/0\n`,
  });

  test('rpm-ostree writes the entries; grub2-mkconfig does not run', () => {
    expect(edits(bootTree('silverblue', { ...files, ...entry('rhgb') }))).toMatchObject({
      files: [],
      commands: [
        {
          argv: [
            '/usr/bin/rpm-ostree',
            'kargs',
            '--append-if-missing=intel_iommu=on',
            '--append-if-missing=iommu=pt',
          ],
          undo: [
            '/usr/bin/rpm-ostree',
            'kargs',
            '--delete-if-present=intel_iommu=on',
            '--delete-if-present=iommu=pt',
          ],
        },
      ],
    });
    expect(plan(bootTree('silverblue', { ...files, ...entry(wanted) }))).toEqual(nothing);
    expect(plan(bootTree('silverblue', { ...files, ...entry('intel_iommu=off iommu=pt') })).commands).toEqual(
      ['/usr/bin/rpm-ostree kargs --delete-if-present=intel_iommu=off --append-if-missing=intel_iommu=on'],
    );
  });

  test('without rpm-ostree it is a manual step', () => {
    const tree = bootTree('silverblue', files);
    fs.rmSync(tree.at('/usr/bin/rpm-ostree'));
    expect(refusal(tree)).toContain('manual step: rpm-ostree kargs --append-if-missing=intel_iommu=on');
  });
});

test('MicroOS: transactional-update makes the snapshot whose configuration is read', () => {
  const files = {
    '/etc/default/grub': 'GRUB_CMDLINE_LINUX=""\n',
    '/usr/sbin/grub2-mkconfig': '',
    '/usr/sbin/transactional-update': '',
    '/boot/grub2/grub.cfg': '',
  };
  const mounts = (root: string) =>
    `60 1 0:38 /@ / ${root},relatime shared:1 - btrfs /dev/sda3 rw\n` +
    '61 60 0:52 / /etc rw,relatime - overlay overlay rw,upperdir=/sysroot/var/lib/overlay/5/etc\n';
  const run = (root: string) =>
    plan(bootTree('suse', { ...files, '/proc/self/mountinfo': mounts(root) })).commands;
  expect(run('ro')).toEqual(['/usr/sbin/transactional-update grub.cfg']);
  // Installed, but the root file system is an ordinary one.
  expect(run('rw')).toEqual(['/usr/sbin/grub2-mkconfig -o /boot/grub2/grub.cfg']);
});

describe('a file that would be missing after the boot is refused:', () => {
  const tree = (mounts: string) => debianGrub('GRUB_CMDLINE_LINUX=""\n', { '/proc/self/mountinfo': mounts });
  const disk = '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n';

  test.each([
    ['22 1 8:1 / / ro,relatime - ext4 /dev/sda1 ro\n', '/ is mounted read-only'],
    [`${disk}30 22 0:5 / /etc rw - tmpfs tmpfs rw\n`, '/etc is in memory (tmpfs)'],
    [
      '22 1 0:20 / / rw - overlay overlay rw,lowerdir=/run/l,upperdir=/run/live/rw\n23 22 0:21 / /run rw - tmpfs tmpfs rw\n',
      'the changes to / are in memory (tmpfs)',
    ],
  ])('%s', (mounts, reason) => {
    expect(refusal(tree(mounts))).toContain(
      `/etc/default/grub cannot be changed for the next boot: ${reason}; manual step: `,
    );
  });

  test('a writable mount on top of a read-only one is not such a file', () => {
    const above = '22 1 8:1 / / ro - ext4 /dev/sda1 ro\n31 22 8:2 / /etc rw - ext4 /dev/sda2 rw\n';
    expect(plan(tree(above)).commands).toEqual(['/usr/sbin/update-grub']);
    expect(plan(tree(disk)).commands).toEqual(['/usr/sbin/update-grub']);
  });
});

test('openSUSE with boot entries: sdbootutil writes them', () => {
  const entry = '/boot/efi/loader/entries/opensuse.conf';
  const files = {
    '/usr/bin/sdbootutil': '',
    '/etc/sysconfig/bootloader': 'LOADER_TYPE="grub2-bls"\n',
    '/etc/kernel/cmdline': 'root=/dev/sda2 quiet\n',
    [entry]: 'title openSUSE\nlinux /linux\noptions root=/dev/sda2 quiet\n',
  };
  const commands = ['/usr/bin/sdbootutil update-all-entries'];
  expect(plan(bootTree('suse', files))).toEqual({
    files: { '/etc/kernel/cmdline': `root=/dev/sda2 quiet ${wanted}\n` },
    commands,
  });
  const edited = { ...files, '/etc/kernel/cmdline': `root=/dev/sda2 ${wanted}\n` };
  expect(plan(bootTree('suse', edited))).toEqual({ files: {}, commands });
});

test.each<[string, TreeBuilder, string]>([
  [
    'NixOS',
    bootTree('nixos', { '/boot/grub/grub.cfg': '' }),
    'boot.kernelParams = [ "intel_iommu=on" "iommu=pt" ];',
  ],
  [
    'Ubuntu Core',
    bootTree('ubuntu', {}, 'snapd_recovery_mode=run\n'),
    "snap set system 'system.kernel.append=intel_iommu=on iommu=pt'",
  ],
  [
    'extlinux',
    bootTree('debian', { '/boot/extlinux/extlinux.conf': '' }),
    'the append lines of extlinux.conf',
  ],
  ['rEFInd', bootTree('arch', { '/boot/refind_linux.conf': '' }, notGrub), '/boot/refind_linux.conf'],
  [
    'systemd-boot without a mounted partition',
    bootTree('arch', loaderVariable('LoaderInfo', 'systemd-boot 255'), notGrub),
    'is the EFI partition mounted?',
  ],
  [
    'Limine, though entries are there',
    bootTree(
      'arch',
      {
        ...loaderVariable('LoaderInfo', 'Limine 8.0'),
        '/boot/loader/entries/a.conf': 'linux /vmlinuz\noptions root=/dev/sda2\n',
      },
      notGrub,
    ),
    'add "intel_iommu=on iommu=pt"',
  ],
  [
    'a kernel that the firmware starts',
    bootTree('arch', bootOption('\\EFI\\arch\\vmlinuz-linux.efi'), notGrub),
    'efibootmgr --create',
  ],
  [
    'anything else',
    bootTree('debian', {}, notGrub),
    'add "intel_iommu=on iommu=pt" to the kernel command line',
  ],
])('%s is refused, with the manual step', (_, tree, step) => {
  const message = refusal(tree);
  expect(message).toContain('; manual step: ');
  expect(message).toContain(step);
});

describe('a boot entry that is not a file is an error that names it:', () => {
  const tree = () => bootTree('debian', { '/boot/loader/entries/a.conf': 'linux /vmlinuz\n' }, notGrub);

  test.each<[string, (tree: TreeBuilder) => unknown, string]>([
    ['a directory', tree => tree.file('/boot/loader/entries/x.conf/y', ''), 'it is a directory, not a file'],
    [
      'a link loop',
      tree => tree.link('/boot/loader/entries/x.conf', 'x.conf'),
      'its symbolic links form a loop',
    ],
    [
      'a FIFO',
      tree => execFileSync('mkfifo', [tree.at('/boot/loader/entries/x.conf')]),
      'it is a FIFO, not a file',
    ],
  ])('%s', (_, make, reason) => {
    const host = tree();
    make(host);
    expect(refusal(host)).toContain(`cannot read /boot/loader/entries/x.conf: ${reason}`);
  });
});

describe('a file that an edit would damage is refused', () => {
  const entry = (options: string | Buffer) =>
    bootTree(
      'debian',
      {
        '/boot/loader/entries/a.conf': Buffer.concat([
          Buffer.from('title a\nlinux /vmlinuz\n'),
          Buffer.from(options),
        ]),
      },
      notGrub,
    );

  test('a file in another encoding', () => {
    const defaults = 'GRUB_CMDLINE_LINUX="quiet"\n';
    const tree = debianGrub(defaults).file(
      '/etc/default/grub',
      Buffer.from(`# f\u00fcr\n${defaults}`, 'latin1'),
    );
    expect(refusal(tree)).toBe(
      '/etc/default/grub cannot be edited safely: it is not UTF-8; manual step: add "intel_iommu=on iommu=pt" to its kernel parameters',
    );
    expect(refusal(entry(Buffer.from('# \u00fc\noptions quiet\n', 'latin1')))).toMatch(
      /a\.conf .* is not UTF-8/,
    );
    expect(plan(entry('# \u00fc\noptions quiet\n')).files).toEqual({
      '/boot/loader/entries/a.conf': `title a\nlinux /vmlinuz\n# \u00fc\noptions quiet ${wanted}\n`,
    });
  });

  test('a NUL byte', () => {
    expect(refusal(debianGrub('GRUB_CMDLINE_LINUX="qui\0et"\n'))).toMatch(/it contains a NUL byte/);
  });

  test('a file that is longer than the limit', () => {
    expect(refusal(entry(`options quiet\n${'# padding\n'.repeat(120_000)}`))).toMatch(/is too long/);
  });

  test('parameters that the kernel would truncate', () => {
    const fits = `${'a=1 '.repeat(505)}b`;
    expect(`${fits} ${wanted}`.length).toBeLessThan(2047);
    expect(plan(entry(`options ${fits}\n`)).files).not.toEqual({});
    const reason =
      /would have 20\d\d characters, but the kernel reads only 2047; manual step: remove parameters that are not needed/;
    expect(refusal(entry(`options ${fits} c=12345678\n`))).toMatch(reason);
    expect(refusal(debianGrub(`GRUB_CMDLINE_LINUX="${fits} c=12345678"\n`))).toMatch(reason);
    expect(refusal(entry(`options ${'a b '.repeat(200_000)}\n`))).toMatch(/the kernel reads only 2047/);
  });
});
