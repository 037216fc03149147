//! Objects of one VM by the handles that JavaScript uses.

use crate::errno::{Errno, Result};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;

struct Entries<T> {
    entries: BTreeMap<u32, T>,
    /// Handles are never reused, so the handle of a closed object can't refer to a later one.
    next: u32,
}

pub struct Table<T>(Mutex<Entries<T>>);

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table(Mutex::new(Entries { entries: BTreeMap::new(), next: 0 }))
    }
}

impl<T: Clone> Table<T> {
    /// Returns its handle.
    pub fn add(&self, object: T) -> Result<u32> {
        let mut table = lock(&self.0);
        let handle = table.next;
        table.next =
            handle.checked_add(1).filter(|next| *next <= i32::MAX as u32).ok_or(Errno(libc::ENFILE))?;
        table.entries.insert(handle, object);
        Ok(handle)
    }

    pub fn get(&self, handle: u32) -> Result<T> {
        lock(&self.0).entries.get(&handle).cloned().ok_or(Errno(libc::ENOENT))
    }

    pub fn remove(&self, handle: u32) -> Result<T> {
        lock(&self.0).entries.remove(&handle).ok_or(Errno(libc::ENOENT))
    }

    pub fn clear(&self) {
        let entries = std::mem::take(&mut lock(&self.0).entries);
        drop(entries);
    }
}
