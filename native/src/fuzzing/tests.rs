//! The saved inputs and mutations of them: a short version of what libFuzzer does for hours.

use super::{TARGETS, Target};
use crate::queue::testing::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Mutations per target; slow machines run fewer.
const VARIATIONS: u32 = 4_000;
const TIME: Duration = Duration::from_secs(3);
const MAX_BYTES: usize = 32_768;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn inputs_in(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn vary(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let pick = |random: &mut Random| &corpus[random.below(corpus.len() as u64) as usize];
    let mut bytes = pick(random).clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(6) {
            0 => bytes.insert(at, random.next() as u8),
            1 => bytes.truncate(at.max(1)),
            2 => {
                let other = pick(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                let to = (from + random.below(64) as usize).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize],
            _ if at < bytes.len() => bytes[at] = random.next() as u8,
            _ => {}
        }
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

/// Where a failing input is saved for a debugger.
fn failure_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("vring-fuzz-{name}-{}", std::process::id()))
}

/// Runs a target and saves the input if it fails.
fn run((name, target): Target, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_ok() {
        return;
    }
    let path = failure_of(name);
    std::fs::write(&path, bytes).unwrap();
    panic!(
        "{name} failed on {}: once it is fixed, keep it in {}/corpus/{name}",
        path.display(),
        fuzz_folder().display()
    );
}

fn run_all(target: Target) {
    let (name, _) = target;
    let corpus = inputs_in(&fuzz_folder().join("corpus").join(name));
    assert!(corpus.len() >= 3, "{name} has kept inputs");
    corpus.iter().for_each(|bytes| run(target, bytes));
    let mut random = Random(0x66_757a_7a00 + name.len() as u64);
    let began = Instant::now();
    let mut done = 0;
    while done < VARIATIONS && began.elapsed() < TIME {
        run(target, &vary(&mut random, &corpus));
        done += 1;
    }
    assert!(done > 50, "{name} ran {done} times");
}

macro_rules! targets {
    ($($index:literal $name:ident),*) => {$(
        #[test]
        fn $name() {
            assert_eq!(TARGETS[$index].0, stringify!($name));
            run_all(TARGETS[$index]);
        }
    )*};
}

targets!(0 rings, 1 balloon, 2 blk, 3 scsi, 4 offloads, 5 fragments, 6 qcow2);

/// Without this, the tests above would prove nothing.
#[test]
fn a_failing_target_is_noticed() {
    let failing: Target = ("failing", |bytes| assert!(bytes.len() < 3));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let noticed = catch_unwind(|| run(failing, &[1, 2, 3])).is_err();
    std::panic::set_hook(hook);
    assert!(noticed);
    assert_eq!(std::fs::read(failure_of("failing")).unwrap(), [1, 2, 3]);
    std::fs::remove_file(failure_of("failing")).unwrap();
    run(failing, &[1]);
}
