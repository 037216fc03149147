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
    /// The VM that the thread's calls without a handle are for.
    static SELECTED: RefCell<Option<(i32, Arc<Vm>)>> = const { RefCell::new(None) };
}

/// Selects the VM for calls so frequent that looking up the handle would show.
pub fn select(handle: i32) -> Result<()> {
    let vm = get(handle)?;
    SELECTED.set(Some((handle, vm)));
    Ok(())
}

/// Does nothing if no VM is selected. One for which `action` returns false is no longer selected: it may have been
/// destroyed by another thread.
pub fn with_selected(action: impl FnOnce(&Vm) -> bool) {
    SELECTED.with_borrow_mut(|selected| {
        if let Some((_, vm)) = selected
            && !action(vm)
        {
            *selected = None;
        }
    });
}

pub fn all() -> Vec<Arc<Vm>> {
    read(&TABLE).vms.values().cloned().collect()
}

pub fn remove(handle: i32) -> Result<Arc<Vm>> {
    SELECTED.with_borrow_mut(|selected| selected.take_if(|(of, _)| *of == handle));
    write(&TABLE).vms.remove(&handle).ok_or(Errno(libc::EBADF))
}
