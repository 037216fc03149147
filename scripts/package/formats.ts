import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot, version } from '../../src/project-root.ts';
import { OLDEST_GLIBC } from '../check-glibc.ts';
import { filesBelow, gzip, type StageOptions, setTimes, stage } from './stage.ts';

export type PackageOptions = Pick<StageOptions, 'node' | 'epoch'> & {
  /** An empty scratch folder. */
  readonly scratch: string;
  /** Output folder. */
  readonly out: string;
  /** xz's level, 0 to 9. At 0, formats that allow it are not compressed. */
  readonly level: number;
};

export const FORMATS = { tar: packTar, deb: packDeb, rpm: packRpm };

const root = projectRoot();
/** Two threads: the same blocks on every machine. */
const XZ_THREADS = '-T2';

/** A folder that runs wherever it is unpacked, laid out for /usr/local. @returns the file */
function packTar({ scratch, out, level, node, epoch }: PackageOptions): string {
  const name = `vring-${version()}-linux-x64`;
  const zshFolder = 'share/zsh/site-functions';
  stage(join(scratch, name), { prefix: '/usr/local', zshFolder, node, epoch });
  const file = join(out, `${name}.tar.xz`);
  run('tar', epoch, [
    ...['--create', '--sort=name', '--format=gnu', '--owner=0', '--group=0', '--numeric-owner'],
    ...[`--mtime=@${epoch}`, `--use-compress-program=xz -${level} ${XZ_THREADS}`],
    ...['--file', file, '--directory', scratch, name],
  ]);
  return file;
}

/** @returns the file */
function packDeb({ scratch, out, level, node, epoch }: PackageOptions): string {
  const zshFolder = 'share/zsh/vendor-completions';
  stage(join(scratch, 'usr'), { prefix: '/usr', zshFolder, node, epoch });
  const doc = join(scratch, 'usr/share/doc/vring');
  writeFileSync(join(doc, 'copyright'), readFileSync(join(root, 'packaging/deb/copyright')));
  writeFileSync(join(doc, 'changelog.gz'), gzip(Buffer.from(changelog(epoch))));
  const overrides = join(scratch, 'usr/share/lintian/overrides');
  mkdirSync(overrides, { recursive: true });
  writeFileSync(join(overrides, 'vring'), readFileSync(join(root, 'packaging/deb/lintian-overrides')));
  const control = join(scratch, 'DEBIAN');
  mkdirSync(control);
  for (const script of ['postinst', 'prerm', 'postrm']) {
    writeFileSync(join(control, script), readFileSync(join(root, 'packaging/deb', script)));
    chmodSync(join(control, script), 0o755);
  }
  writeFileSync(join(control, 'md5sums'), md5sums(scratch));
  const text = readFileSync(join(root, 'packaging/deb/control'), 'utf8')
    .replace('@VERSION@', version())
    .replace('@GLIBC@', OLDEST_GLIBC)
    .replace('@SIZE@', kibibytes(join(scratch, 'usr')));
  writeFileSync(join(control, 'control'), text);
  for (const name of ['control', 'md5sums']) chmodSync(join(control, name), 0o644);
  setTimes(scratch, epoch);
  const file = join(out, `vring_${version()}_amd64.deb`);
  const compression = level === 0 ? ['-Znone'] : ['-Zxz', `-z${level}`];
  run('dpkg-deb', epoch, ['--root-owner-group', ...compression, '--build', scratch, file]);
  return file;
}

/** @returns the file */
function packRpm({ scratch, out, level, node, epoch }: PackageOptions): string {
  const staged = join(scratch, 'stage');
  stage(join(staged, 'usr'), { prefix: '/usr', zshFolder: 'share/zsh/site-functions', node, epoch });
  const defines = {
    _topdir: join(scratch, 'build'),
    _rpmdir: out,
    _build_name_fmt: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    _buildhost: 'vring',
    _binary_payload: level === 0 ? 'w0.ufdio' : `w${level}${XZ_THREADS.slice(1)}.xzdio`,
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    vring_version: version(),
    vring_stage: staged,
  };
  run('rpmbuild', epoch, [
    ...['-bb', '--quiet', '--target=x86_64-linux'],
    ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
    join(root, 'packaging/rpm/vring.spec'),
  ]);
  return join(out, `vring-${version()}-1.x86_64.rpm`);
}

/** Runs a packer with `epoch` as its clock. @throws with its output */
function run(command: string, epoch: number, args: readonly string[]): void {
  const env = { ...process.env, LC_ALL: 'C', SOURCE_DATE_EPOCH: String(epoch) };
  try {
    execFileSync(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: Buffer };
    if (code === 'ENOENT')
      throw new Error(`${command} is missing: scripts/install-deps.sh installs it on Debian`);
    throw new Error(`${command}: ${stderr?.toString().trim() || message}`);
  }
}

function changelog(epoch: number): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `vring (${version()}) stable; urgency=medium\n\n  * Version ${version()}.\n\n -- vring maintainers <maintainers@vring.invalid>  ${date}\n`;
}

function md5sums(scratch: string): string {
  const paths = filesBelow(join(scratch, 'usr')).map(path => `usr/${path}`);
  return execFileSync('md5sum', paths, { cwd: scratch, encoding: 'utf8' });
}

/** As dpkg-gencontrol counts: each file rounded up. */
function kibibytes(folder: string): string {
  const sizes = filesBelow(folder).map(path => Math.ceil(lstatSync(join(folder, path)).size / 1024));
  return String(sizes.reduce((sum, size) => sum + size, 0));
}
