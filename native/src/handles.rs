//! The process's VMs by the handles that JavaScript uses. A number is never reused, so a call with the handle of a
//! destroyed VM can't reach another one.

use crate::errno::{Errno, Result};
use crate::sync::{read, write};
use crate::vm::Vm;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

struct Table {
    vms: BTreeMap<i32, Arc<Vm>>,
    next: i32,
}

static TABLE: RwLock<Table> = RwLock::new(Table { vms: BTreeMap::new(), next: 1 });

pub fn insert(vm: Vm) -> Result<i32> {
    let mut table = write(&TABLE);
    let handle = table.next;
    table.next = handle.checked_add(1).ok_or(Errno(libc::ENFILE))?;
    table.vms.insert(handle, Arc::new(vm));
    Ok(handle)
}

/// The VM stays valid while the caller holds it, whatever happens to its handle.
pub fn get(handle: i32) -> Result<Arc<Vm>> {
    read(&TABLE).vms.get(&handle).cloned().ok_or(Errno(libc::EBADF))
}

thread_local! {
    /// The VM that the thread last waited for.
    static RECENT: RefCell<Option<(i32, Arc<Vm>)>> = const { RefCell::new(None) };
}

/// Like `get`, for a call so frequent that locking the table would show.
pub fn with_recent<T>(handle: i32, action: impl FnOnce(&Vm) -> Result<T>) -> Result<T> {
    RECENT.with_borrow_mut(|recent| {
        let vm = match recent {
            Some((of, vm)) if *of == handle => vm,
            _ => &mut recent.insert((handle, get(handle)?)).1,
        };
        let result = action(vm);
        if result.is_err() {
            // It may have been destroyed by another thread.
            *recent = None;
        }
        result
    })
}

pub fn all() -> Vec<Arc<Vm>> {
    read(&TABLE).vms.values().cloned().collect()
}

pub fn remove(handle: i32) -> Result<Arc<Vm>> {
    RECENT.with_borrow_mut(|recent| recent.take_if(|(of, _)| *of == handle));
    write(&TABLE).vms.remove(&handle).ok_or(Errno(libc::EBADF))
}
