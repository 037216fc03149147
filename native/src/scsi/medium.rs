//! The medium in a drive.

use crate::errno::Result;
use crate::image::Image;
use crate::limiter::Limiter;
use crate::queue_thread::{FileTable, Tenure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

pub struct Medium {
    pub image: Arc<dyn Image>,
    pub limiter: Arc<Limiter>,
    /// The index of the image's first file in the controller's table.
    pub first_file: u16,
    files: usize,
    _tenure: Tenure,
    removed: AtomicBool,
}

impl Medium {
    /// Its files are in the table until `remove`.
    pub fn new(table: &FileTable, image: Arc<dyn Image>, limiter: Arc<Limiter>) -> Result<Medium> {
        let files = image.files();
        let (first_file, tenure) = table.insert(&files)?;
        table.controls().into_iter().for_each(|control| limiter.add_thread(control));
        let removed = AtomicBool::new(false);
        Ok(Medium { image, limiter, first_file, files: files.len(), _tenure: tenure, removed })
    }

    /// Called when it leaves its drive: requests to it take no further step.
    pub fn remove(&self, table: &FileTable) {
        if !self.removed.swap(true, SeqCst) {
            table.remove(self.first_file, self.files);
        }
    }

    pub fn is_removed(&self) -> bool {
        self.removed.load(SeqCst)
    }
}
