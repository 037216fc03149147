//! qcow2 images, with their backing images (QEMU's docs/interop/qcow2.rst). Requests for allocated clusters find them
//! in memory and proceed like those of a raw image. Everything else, from loading a table to allocating a cluster, is a
//! task for another thread (`port.rs`), one of which works on the tables at a time.

mod compressed;
mod edit;
mod entry;
mod file;
mod flush;
mod header;
mod inspect;
mod layer;
mod pins;
mod port;
mod refcounts;
mod tables;
#[cfg(any(test, fuzzing))]
pub mod testing;
#[cfg(test)]
mod tests;
mod trouble;

use super::{Image, ImageState, Location, Place};
use crate::errno::{Errno, Result};
use crate::sync::lock;
use file::ImageFile;
use header::Header;
pub use inspect::inspect;
use layer::{Found, Kind, Layer, Tables, find_in_chain};
pub use pins::Pin;
use pins::Pins;
pub use port::{Answer, Port, Task, Ticket};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use tables::Editor;
use trouble::Trouble;

/// The most files of an image: the image and its backing files.
pub const MAX_LAYERS: usize = 200;

crate::abi_struct! {
    /// A file of an image's chain, as passed by JavaScript.
    pub struct ChainFile {
        pub fd: i32,
        /// 1 for qcow2, 0 for raw.
        pub qcow2: u32,
    }
}

pub struct Qcow2Image {
    core: Arc<Core>,
    port: Port,
}

/// What the image's users share with the thread that works on its tables.
pub struct Core {
    state: ImageState,
    layers: Arc<[Layer]>,
    pins: Arc<Pins>,
    editor: Mutex<Editor>,
    /// Why writes are refused: its tables turned out to be wrong. Not in the editor, whose lock is
    /// held while the file is written.
    corruption: OnceLock<String>,
    /// Memory has tables that the file lacks.
    is_dirty: AtomicBool,
}

impl Qcow2Image {
    /// An image whose files are open, itself first. Their fds are duplicated. EBADMSG for an image that can't be used;
    /// `inspect` has the reason.
    pub fn open(
        files: &[ChainFile],
        readonly: bool,
        can_discard: bool,
        volatile: bool,
        seccomp: bool,
    ) -> Result<Qcow2Image> {
        let core = Arc::new(Core::open(files, readonly, can_discard, volatile)?);
        Ok(Qcow2Image { port: Port::open(core.clone(), seccomp)?, core })
    }
}

impl Core {
    fn open(files: &[ChainFile], readonly: bool, can_discard: bool, volatile: bool) -> Result<Core> {
        if files.is_empty() || files.len() > MAX_LAYERS || files[0].qcow2 == 0 {
            return Err(Errno(libc::EINVAL));
        }
        let open = |(index, file): (usize, &ChainFile)| open_layer(*file, readonly || index > 0, volatile);
        let layers: Arc<[Layer]> = files.iter().enumerate().map(open).collect::<Result<_>>()?;
        let pins = Arc::new(Pins::default());
        Ok(Core {
            state: ImageState::new(layers[0].size(), readonly, can_discard)?,
            editor: Mutex::new(Editor::new(layers.clone(), pins.clone(), readonly)),
            layers,
            pins,
            corruption: OnceLock::new(),
            is_dirty: AtomicBool::new(false),
        })
    }

    /// Changes the tables in memory. Wrong tables are an I/O error.
    fn edit<T>(&self, change: impl FnOnce(&mut Editor) -> tables::Result<T>) -> Result<T> {
        let mut editor = lock(&self.editor);
        let result = change(&mut editor);
        self.is_dirty.store(editor.is_dirty(), SeqCst);
        match result {
            Ok(value) => Ok(value),
            Err(Trouble::Errno(errno)) => Err(errno),
            Err(Trouble::Corrupt(reason)) => {
                let _ = self.corruption.set(reason.clone());
                editor.mark_corrupt(reason);
                Err(Errno(libc::EIO))
            }
        }
    }

    /// Makes what has been written durable.
    fn flush(&self) -> Result<()> {
        // Data first, without the lock on the tables: what follows then takes less time.
        self.layers[0].file.sync()?;
        match self.is_dirty.load(SeqCst) {
            true => self.edit(Editor::write_tables),
            false => Ok(()),
        }
    }

    /// Writes everything to the file and forgets what is in memory, since another process may use the file next.
    fn settle(&self) -> Result<()> {
        self.edit(|editor| {
            // A second round releases the references that earlier requests held.
            for _ in 0..3 {
                editor.write_tables()?;
            }
            if !editor.is_dirty() {
                editor.forget();
            }
            Ok(())
        })
    }

    fn files(&self) -> Vec<RawFd> {
        self.layers.iter().map(|layer| layer.file.as_raw_fd()).collect()
    }

    fn locate(&self, start: u64, len: u64, write: bool) -> Place {
        if write {
            if self.corruption.get().is_some() {
                return Place::Failed(Errno(libc::EIO));
            }
            return match self.layers[0].find(start, len) {
                (Found::Data { offset, writable: true }, len) => {
                    Place::Bytes(Location { file: 0, offset, len })
                }
                (Found::Damaged, _) => Place::Failed(Errno(libc::EIO)),
                _ => Place::Task(Task::Allocate { start, len }),
            };
        }
        let (layer, found, len) = find_in_chain(&self.layers, start, len);
        match found {
            Found::Data { offset, .. } => Place::Bytes(Location { file: layer as u16, offset, len }),
            Found::Zeros | Found::Absent => Place::Zeros(len),
            Found::Compressed { .. } => Place::Task(Task::Expand { layer, start }),
            Found::Unknown => Place::Task(Task::Load { start, len }),
            Found::Damaged => Place::Failed(Errno(libc::EIO)),
        }
    }

    fn resize(&self, capacity: u64) -> Result<()> {
        if capacity != self.state.capacity() {
            self.edit(|editor| editor.grow(capacity))?;
        }
        self.state.resize(capacity)
    }

    fn carry_out(&self, task: Task) -> Result<Answer> {
        let done = match task {
            Task::Load { start, len } => self.edit(|editor| editor.find(0, start, len)).map(drop),
            Task::Allocate { start, len } => self.edit(|editor| editor.make_writable(start, len)),
            Task::Expand { layer, start } => {
                return self.edit(|editor| editor.expanded(layer, start)).map(Answer::Cluster);
            }
            Task::Discard { start, len } => self.edit(|editor| editor.discard(start, len)),
            Task::WriteZeroes { start, len, unmap, durable } => {
                let zeroed = self.edit(|editor| editor.write_zeroes(start, len, unmap));
                zeroed.and_then(|()| if durable { self.flush() } else { Ok(()) })
            }
            Task::Flush => self.flush(),
            Task::Pass => Ok(()),
            Task::Settle if self.state.readonly => Ok(()),
            Task::Settle => self.settle(),
        };
        done.map(|()| Answer::Done)
    }
}

fn open_layer(ChainFile { fd, qcow2 }: ChainFile, readonly: bool, volatile: bool) -> Result<Layer> {
    let file = ImageFile::open(fd, volatile)?;
    if qcow2 == 0 {
        let size = file.len()?.next_multiple_of(super::SECTOR);
        return Ok(Layer { file, size: AtomicU64::new(size), kind: Kind::Raw });
    }
    let header = Header::read(&file).ok().filter(|header| header.refusal(readonly).is_none());
    let header = header.ok_or(Errno(libc::EBADMSG))?;
    Ok(Layer { file, size: AtomicU64::new(header.size), kind: Kind::Qcow2(Tables::new(&header)) })
}

impl Image for Qcow2Image {
    fn state(&self) -> &ImageState {
        &self.core.state
    }

    fn files(&self) -> Vec<RawFd> {
        self.core.files().into_iter().chain(self.port.files()).collect()
    }

    fn prepare(&self) -> Result<()> {
        self.port.start()
    }

    fn port(&self) -> Option<&Port> {
        Some(&self.port)
    }

    fn part(&self, ends: bool) -> Option<Ticket> {
        Some(self.port.ask(if ends { Task::Settle } else { Task::Pass }))
    }

    fn operations(&self) -> &'static [u8] {
        super::raw::operations(self.core.state.readonly)
    }

    fn direct_alignment(&self) -> Option<usize> {
        self.core.layers.iter().filter_map(|layer| layer.file.direct_alignment()).max()
    }

    fn locate(&self, start: u64, len: u64, write: bool) -> Place {
        self.core.locate(start, len, write)
    }

    fn resize(&self, capacity: u64) -> Result<()> {
        self.core.resize(capacity)
    }

    fn corruption(&self) -> Option<String> {
        self.core.corruption.get().cloned()
    }
}
