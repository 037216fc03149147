//! Carries out requests as `DiskRequest` does, one at a time, on the caller's thread.

use super::port::{Answer, Task};
use super::*;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

pub struct Disk {
    pub files: Vec<File>,
    pub image: Core,
}

impl Disk {
    /// The files of a chain, the image itself first, each with whether it is qcow2.
    pub fn open(chain: Vec<(File, bool)>, readonly: bool) -> Result<Disk> {
        let qcow2 =
            |(file, is_qcow2): &(File, bool)| ChainFile { fd: file.as_raw_fd(), qcow2: u32::from(*is_qcow2) };
        let described: Vec<ChainFile> = chain.iter().map(qcow2).collect();
        let image = Core::open(&described, readonly, !readonly, false)?;
        Ok(Disk { files: chain.into_iter().map(|(file, _)| file).collect(), image })
    }

    pub fn capacity(&self) -> u64 {
        self.image.state.capacity()
    }

    pub fn read(&self, start: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            let at = start + done as u64;
            match self.image.locate(at, (len - done) as u64, false) {
                Place::Bytes(found) => {
                    let part = &mut bytes[done..done + found.len as usize];
                    let mut got = 0;
                    while got < part.len() {
                        let file = &self.files[usize::from(found.file)];
                        match file.read_at(&mut part[got..], found.offset + got as u64).unwrap() {
                            0 => break,
                            count => got += count,
                        }
                    }
                    done += part.len();
                }
                Place::Zeros(count) => done += count as usize,
                Place::Task(task) => {
                    if let Answer::Cluster(cluster) = self.image.carry_out(task)? {
                        let within = at as usize & (cluster.len() - 1);
                        let count = (len - done).min(cluster.len() - within);
                        bytes[done..done + count].copy_from_slice(&cluster[within..within + count]);
                        done += count;
                    }
                }
                Place::Failed(errno) => return Err(errno),
            }
        }
        Ok(bytes)
    }

    pub fn write(&self, start: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.image.locate(start + done as u64, (bytes.len() - done) as u64, true) {
                Place::Bytes(found) => {
                    let part = &bytes[done..done + found.len as usize];
                    self.files[0].write_all_at(part, found.offset).unwrap();
                    done += part.len();
                }
                Place::Task(task) => drop(self.image.carry_out(task)?),
                Place::Failed(errno) => return Err(errno),
                Place::Zeros(_) => unreachable!("a write goes somewhere"),
            }
        }
        Ok(())
    }

    pub fn carry_out(&self, task: Task) -> Result<()> {
        self.image.carry_out(task).map(drop)
    }

    pub fn resize(&self, capacity: u64) -> Result<()> {
        self.image.resize(capacity)
    }
}
