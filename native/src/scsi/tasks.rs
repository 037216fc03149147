//! The unit's commands in progress, for task management (SAM-5 §7).

use crate::sync::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Why a command ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Aborted,
    Reset,
}

/// A command's number, unique within its unit.
pub type TaskId = u64;

struct Task {
    id: TaskId,
    /// The driver's tag for it.
    tag: u64,
    cut: Option<Cut>,
}

#[derive(Default)]
struct Inner {
    tasks: Vec<Task>,
    next: TaskId,
}

#[derive(Default)]
pub struct Tasks {
    inner: Mutex<Inner>,
    /// How many commands must end early.
    cut: AtomicUsize,
}

impl Tasks {
    pub fn begin(&self, tag: u64) -> TaskId {
        let mut inner = lock(&self.inner);
        let id = inner.next;
        inner.next += 1;
        inner.tasks.push(Task { id, tag, cut: None });
        id
    }

    /// Returns whether its end is awaited.
    pub fn end(&self, id: TaskId) -> bool {
        let mut inner = lock(&self.inner);
        let Some(at) = inner.tasks.iter().position(|task| task.id == id) else { return false };
        let cut = inner.tasks.swap_remove(at).cut.is_some();
        self.cut.fetch_sub(cut.into(), SeqCst);
        cut
    }

    /// Why a command must end early, if it must.
    pub fn cut_of(&self, id: TaskId) -> Option<Cut> {
        if self.cut.load(SeqCst) == 0 {
            return None;
        }
        lock(&self.inner).tasks.iter().find(|task| task.id == id)?.cut
    }

    /// Makes commands end early: those with this tag, or all. Returns them.
    pub fn cut(&self, tag: Option<u64>, cut: Cut) -> Vec<TaskId> {
        let mut inner = lock(&self.inner);
        let chosen = inner.tasks.iter_mut().filter(|task| tag.is_none_or(|tag| task.tag == tag));
        let ids = chosen.map(|task| {
            self.cut.fetch_add(task.cut.is_none().into(), SeqCst);
            task.cut.get_or_insert(cut);
            task.id
        });
        ids.collect()
    }

    /// Whether there is a command with this tag, or any command.
    pub fn has_tag(&self, tag: Option<u64>) -> bool {
        lock(&self.inner).tasks.iter().any(|task| tag.is_none_or(|tag| task.tag == tag))
    }

    pub fn has(&self, id: TaskId) -> bool {
        lock(&self.inner).tasks.iter().any(|task| task.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_aborted_by_tag_or_all_and_tracked_until_they_end() {
        let tasks = Tasks::default();
        let [first, second] = [7, 9].map(|tag| tasks.begin(tag));
        assert!(tasks.has_tag(Some(9)) && !tasks.has_tag(Some(8)));
        assert_eq!(tasks.cut(Some(9), Cut::Aborted), [second]);
        assert_eq!((tasks.cut_of(first), tasks.cut_of(second)), (None, Some(Cut::Aborted)));
        // An aborted command is not reset as well.
        assert_eq!(tasks.cut(None, Cut::Reset), [first, second]);
        assert_eq!((tasks.cut_of(first), tasks.cut_of(second)), (Some(Cut::Reset), Some(Cut::Aborted)));
        let third = tasks.begin(9);
        assert_eq!(tasks.cut_of(third), None);
        assert!(tasks.end(first) && tasks.end(second) && !tasks.end(third) && !tasks.end(third));
        assert!(!tasks.has(first) && !tasks.has_tag(None));
        assert_eq!(tasks.cut.load(SeqCst), 0);
    }
}
