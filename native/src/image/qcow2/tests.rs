//! Images created by qemu-img are changed at random and compared with a model, then checked and read by qemu-img.

use super::port::Task;
use super::testing::Disk;
use super::*;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("vring-qcow2-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(program: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program).args(arguments).output().expect("qemu-utils is installed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}

fn qemu_img(arguments: &[&str]) -> String {
    let (code, text) = run("qemu-img", arguments);
    assert_eq!(code, 0, "qemu-img {arguments:?}: {text}");
    text
}

fn create(path: &Path, options: &str, size: u64) {
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", options, path.to_str().unwrap(), &size.to_string()]);
}

fn files(paths: &[(&Path, bool)]) -> Vec<(File, bool)> {
    let open = |path: &Path| File::options().read(true).write(true).open(path).unwrap();
    paths.iter().map(|(path, is_qcow2)| (open(path), *is_qcow2)).collect()
}

fn open(paths: &[(&Path, bool)], readonly: bool) -> Result<Disk> {
    Disk::open(files(paths), readonly)
}

fn corruption(disk: &Disk) -> Option<String> {
    lock(&disk.image.editor).corrupt.clone()
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

/// Changes `disk` and `model` in the same way.
fn change(random: &mut Random, disk: &mut Disk, model: &mut Vec<u8>) {
    let sectors = model.len() as u64 / 512;
    let start = random.below(sectors);
    let most = if random.below(4) == 0 { 1024 } else { 64 };
    let count = 1 + random.below(most.min(sectors - start));
    let (at, len) = (start * 512, count * 512);
    let range = at as usize..(at + len) as usize;
    match random.below(20) {
        0..=8 => {
            let fill = random.next().to_le_bytes();
            let bytes: Vec<u8> = (0..len as usize).map(|index| fill[index % 8]).collect();
            disk.write(at, &bytes).unwrap();
            model[range].copy_from_slice(&bytes);
        }
        9..=12 => assert_eq!(disk.read(at, len as usize).unwrap(), model[range], "at {at}, {len} bytes"),
        13 | 14 => {
            let unmap = random.below(2) == 0;
            disk.carry_out(Task::WriteZeroes { start: at, len, unmap, durable: false }).unwrap();
            model[range].fill(0);
        }
        15 | 16 => {
            disk.carry_out(Task::Discard { start: at, len }).unwrap();
            // Either the old content or zeros.
            let now = disk.read(at, len as usize).unwrap();
            for (now, old) in now.iter().zip(&mut model[range]) {
                assert!(*now == *old || *now == 0);
                *old = *now;
            }
        }
        17 => disk.carry_out(Task::Flush).unwrap(),
        18 => disk.carry_out(Task::Settle).unwrap(),
        _ => {
            let size = model.len() as u64 + 512 * random.below(300);
            disk.resize(size).unwrap();
            model.resize(size as usize, 0);
        }
    }
}

/// `code`: what `qemu-img check` may return besides 0, such as 3 for leaked clusters.
fn check(folder: &Folder, path: &Path, model: &[u8], code: i32) {
    let (found, text) = run("qemu-img", &["check", path.to_str().unwrap()]);
    assert!(found == 0 || found == code, "qemu-img check says {found}: {text}");
    let raw = folder.file("out.raw");
    qemu_img(&["convert", "-f", "qcow2", "-O", "raw", path.to_str().unwrap(), raw.to_str().unwrap()]);
    assert!(std::fs::read(raw).unwrap() == model, "qemu-img reads something else");
}

fn random_changes(
    name: &str,
    options: &str,
    chain: &[(&Path, bool)],
    folder: &Folder,
    content: Vec<u8>,
    rounds: u32,
) {
    let mut model = content;
    let mut random =
        Random(0x9e37_79b9_7f4a_7c15 ^ name.bytes().fold(0, |hash, byte| hash * 31 + u64::from(byte)));
    let mut disk = open(chain, false).unwrap();
    for round in 0..rounds {
        change(&mut random, &mut disk, &mut model);
        if round % (rounds / 3).max(1) == 0 {
            disk.carry_out(Task::Flush).unwrap();
            check(folder, chain[0].0, &model, 3);
        }
    }
    disk.carry_out(Task::Settle).unwrap();
    check(folder, chain[0].0, &model, 0);
    // The file has what was in memory.
    let disk = open(chain, false).unwrap();
    assert!(disk.read(0, model.len()).unwrap() == model, "{name} ({options}) reads something else");
}

#[test]
fn random_changes_agree_with_a_model_and_with_qemu_img() {
    let kinds = [
        ("plain", "compat=1.1", 8 << 20),
        ("v2", "compat=0.10", 8 << 20),
        ("small", "cluster_size=512", 1 << 20),
        ("small64", "cluster_size=512,refcount_bits=64", 1 << 20),
        ("bit", "cluster_size=1024,refcount_bits=1", 2 << 20),
        ("large", "cluster_size=2M,refcount_bits=8", 16 << 20),
        ("metadata", "preallocation=metadata", 8 << 20),
        ("full", "preallocation=falloc,lazy_refcounts=on", 4 << 20),
    ];
    for (name, options, size) in kinds {
        let folder = Folder::new(name);
        let path = folder.file("disk.qcow2");
        create(&path, options, size);
        random_changes(name, options, &[(&path, true)], &folder, vec![0; size as usize], 250);
    }
}

fn patterned(size: usize) -> Vec<u8> {
    let word = |index: usize| (index / 512).wrapping_mul(0x9e37) as u8;
    (0..size).map(|index| if index / 70_000 % 3 == 0 { 0 } else { word(index) }).collect()
}

#[test]
fn backing_files_are_read_and_not_changed() {
    let folder = Folder::new("backing");
    let (base, middle, top) =
        (folder.file("base.raw"), folder.file("middle.qcow2"), folder.file("top.qcow2"));
    let content = patterned((3 << 20) + 512);
    std::fs::write(&base, &content).unwrap();
    for (kind, options) in [("v3", "cluster_size=4k"), ("v2", "compat=0.10")] {
        let backed = |path: &Path, on: &str, format: &str, size: &str| {
            let arguments = [
                "create",
                "-q",
                "-f",
                "qcow2",
                "-o",
                options,
                "-b",
                on,
                "-F",
                format,
                path.to_str().unwrap(),
                size,
            ];
            qemu_img(&arguments);
        };
        backed(&middle, "base.raw", "raw", "4M");
        qemu_io(&middle, "write -P 7 1M 200k");
        backed(&top, "middle.qcow2", "qcow2", "5M");
        let mut model = content.clone();
        model.resize(5 << 20, 0);
        model[1 << 20..(1 << 20) + 200 * 1024].fill(7);
        let before = std::fs::read(&middle).unwrap();
        let chain: [(&Path, bool); 3] = [(&top, true), (&middle, true), (&base, false)];
        random_changes(&format!("backed-{kind}"), options, &chain, &folder, model, 400);
        assert!(std::fs::read(&middle).unwrap() == before && std::fs::read(&base).unwrap() == content);
    }
}

fn qemu_io(path: &Path, command: &str) {
    let (code, text) = run("qemu-io", &["-f", "qcow2", "-c", command, path.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn compressed_clusters_are_read_and_overwritten() {
    for compression in ["zlib", "zstd"] {
        let folder = Folder::new(compression);
        let (raw, path) = (folder.file("in.raw"), folder.file("disk.qcow2"));
        let content = patterned(4 << 20);
        std::fs::write(&raw, &content).unwrap();
        let options = format!("compression_type={compression}");
        let [from, to] = [&raw, &path].map(|path| path.to_str().unwrap());
        qemu_img(&["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", &options, from, to]);
        random_changes(compression, &options, &[(&path, true)], &folder, content, 400);
    }
}

#[test]
fn a_snapshot_keeps_its_content() {
    let folder = Folder::new("snapshot");
    let path = folder.file("disk.qcow2");
    create(&path, "cluster_size=4k", 4 << 20);
    let disk = open(&[(&path, true)], false).unwrap();
    let content = patterned(4 << 20);
    disk.write(0, &content).unwrap();
    disk.carry_out(Task::Settle).unwrap();
    let name = path.to_str().unwrap().to_owned();
    qemu_img(&["snapshot", "-c", "before", &name]);
    random_changes("snapshot", "", &[(&path, true)], &folder, content.clone(), 400);
    let listed = inspect(open(&[(&path, true)], true).unwrap().files[0].as_raw_fd()).unwrap();
    assert!(listed.contains("\"name\":\"before\""), "{listed}");
    qemu_img(&["snapshot", "-a", "before", &name]);
    check(&folder, &path, &content, 0);
    qemu_img(&["snapshot", "-d", "before", &name]);
    check(&folder, &path, &content, 0);
}

#[test]
fn a_refcount_table_grows() {
    let folder = Folder::new("growing");
    let path = folder.file("disk.qcow2");
    // A table of one cluster refers to 64 blocks of 64 clusters of 512 bytes: 2 MiB.
    create(&path, "cluster_size=512,refcount_bits=64", 12 << 20);
    let disk = open(&[(&path, true)], false).unwrap();
    let content: Vec<u8> = (0..12 << 20).map(|index: usize| (index / 512 % 251) as u8 + 1).collect();
    for start in (0..content.len()).step_by(1 << 16) {
        disk.write(start as u64, &content[start..start + (1 << 16)]).unwrap();
    }
    disk.carry_out(Task::Flush).unwrap();
    check(&folder, &path, &content, 3);
    disk.carry_out(Task::Settle).unwrap();
    check(&folder, &path, &content, 0);
}

#[test]
fn garbage_in_a_file_is_rejected_or_fails() {
    let folder = Folder::new("corrupt");
    let path = folder.file("disk.qcow2");
    create(&path, "cluster_size=4k", 2 << 20);
    let disk = open(&[(&path, true)], false).unwrap();
    disk.write(0, &patterned(2 << 20)).unwrap();
    disk.carry_out(Task::Settle).unwrap();
    let good = std::fs::read(&path).unwrap();
    let mut random = Random(42);
    let mut opened = 0;
    for round in 0..400 {
        let mut bad = good.clone();
        let end = if round % 2 == 0 { 112 } else { 10 * 4096 };
        for _ in 0..1 + random.below(3) {
            let at = random.below(end) as usize;
            bad[at] = if random.below(2) == 0 { random.next() as u8 } else { bad[at] ^ 1 << random.below(8) };
        }
        if random.below(8) == 0 {
            bad.truncate(random.below(bad.len() as u64) as usize);
        }
        std::fs::write(&path, &bad).unwrap();
        let Ok(disk) = open(&[(&path, true)], false) else { continue };
        inspect(disk.files[0].as_raw_fd()).unwrap();
        opened += 1;
        let size = disk.capacity();
        for _ in 0..20 {
            let at = random.below(size.clamp(1, 2 << 20)) / 512 * 512;
            if at + 4096 > size {
                continue;
            }
            let _ = disk.read(at, 4096);
            let _ = disk.write(at, &[9; 4096]);
            let _ = disk.carry_out(Task::WriteZeroes { start: at, len: 4096, unmap: true, durable: true });
        }
        let _ = disk.carry_out(Task::Settle);
    }
    assert!(opened > 50, "only {opened} images of 400 were opened");
}

#[test]
fn overlapping_tables_mark_an_image_corrupt_and_leave_it_unchanged() {
    let folder = Folder::new("overlap");
    let path = folder.file("disk.qcow2");
    create(&path, "compat=1.1", 2 << 20);
    let disk = open(&[(&path, true)], false).unwrap();
    disk.write(0, &[1; 65536]).unwrap();
    disk.carry_out(Task::Settle).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let header = Header::parse(&bytes).unwrap();
    let l1 = header.l1_offset as usize;
    // The only L2 table is placed where the refcount table is.
    bytes[l1..l1 + 8].copy_from_slice(&(header.refcount_table_offset | entry::COPIED).to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let disk = open(&[(&path, true)], false).unwrap();
    assert_eq!(disk.write(0, &[2; 512]), Err(Errno(libc::EIO)));
    assert!(corruption(&disk).unwrap().contains("overlaps"), "{:?}", corruption(&disk));
    let after = std::fs::read(&path).unwrap();
    assert_eq!(after[79] & 2, 2, "the corrupt bit");
    assert_eq!(after[80..], bytes[80..]);
    assert!(open(&[(&path, true)], false).is_err() && open(&[(&path, true)], true).is_ok());
}

#[test]
fn unknown_features_are_rejected_by_name() {
    let folder = Folder::new("features");
    let path = folder.file("disk.qcow2");
    let refusal = |options: &str, change: &dyn Fn(&mut Vec<u8>)| {
        create(&path, options, 1 << 20);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        Header::parse(&bytes).unwrap().refusal(false).unwrap_or_default()
    };
    assert!(refusal("extended_l2=on", &|_| ()).contains("extended_l2"));
    assert!(refusal("compat=1.1", &|bytes| bytes[79] |= 1).contains("dirty"));
    assert!(refusal("compat=1.1", &|bytes| bytes[79] |= 2).contains("corrupt"));
    assert!(refusal("compat=1.1", &|bytes| bytes[78] |= 1).contains("bit 8"));
    assert!(refusal("compat=1.1", &|bytes| bytes[35] = 2).contains("LUKS"));
    assert_eq!(refusal("compat=1.1", &|_| ()), "");
}

#[test]
fn a_port_executes_every_task_under_its_filter() {
    let (start, len) = (0, 1 << 20);
    let tasks = [
        Task::Load { start, len },
        Task::Expand { layer: 0, start },
        Task::Allocate { start, len },
        Task::WriteZeroes { start: 512, len: 8192, unmap: false, durable: true },
        Task::Discard { start, len },
        Task::Flush,
        Task::Allocate { start, len },
        Task::Pass,
        Task::Settle,
    ];
    for compression in ["zlib", "zstd"] {
        let folder = Folder::new(&format!("port-{compression}"));
        let (raw, path) = (folder.file("in.raw"), folder.file("disk.qcow2"));
        std::fs::write(&raw, vec![7; 2 << 20]).unwrap();
        let options = format!("cluster_size=4k,compression_type={compression}");
        let [from, to] = [&raw, &path].map(|path| path.to_str().unwrap());
        qemu_img(&["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", &options, from, to]);
        let Disk { image, files: _files } = open(&[(&path, true)], false).unwrap();
        let port = Port::open(Arc::new(image), true).unwrap();
        port.start().unwrap();
        for task in tasks {
            let ticket = port.ask(task);
            while !ticket.has_ended() {
                std::thread::yield_now();
            }
            let (answer, death) = (ticket.answer(), port.cause_of_death());
            assert!(matches!(answer, Some(Ok(_))), "{task:?}: {answer:?}, {death:?}");
        }
    }
}
