//! The steps of a request to an image whose port, a thread of its own, handles its tables.

use super::{DiskOperation, DiskRequest, Range, Step, flushes};
use crate::image::bounce::BouncePool;
use crate::image::qcow2::Answer;
use crate::image::{Image, Port, Task};
use crate::queue::Buffers;

impl DiskRequest {
    /// Like `next_step`, for an image whose port handles its tables.
    pub(super) fn next_with_port(
        &mut self,
        image: &dyn Image,
        port: &Port,
        data: &Buffers,
        durable: bool,
        pool: &mut BouncePool,
    ) -> Option<Step> {
        match self.operation.as_ref()? {
            DiskOperation::Flush if !flushes(image) || self.progress.synced => return Some(Step::Finished),
            DiskOperation::Flush => self.ask(port, Task::Flush),
            DiskOperation::Read(start) => {
                let start = *start;
                return self.next_transfer(start, None, image, data, pool);
            }
            DiskOperation::Write(start) => {
                let start = *start;
                let step = self.next_transfer(start, Some(durable), image, data, pool);
                // The tables that refer to the data must be durable as well.
                let lacks_tables = durable && !self.progress.synced && port.is_dirty();
                match step {
                    Some(Step::Finished) if lacks_tables && !self.failed => self.ask(port, Task::Flush),
                    step => return step,
                }
            }
            DiskOperation::Discard(ranges) => match ranges.get(self.progress.ranges) {
                None => return Some(Step::Finished),
                Some(&Range { start, len, .. }) => self.ask(port, Task::Discard { start, len }),
            },
            DiskOperation::WriteZeroes(ranges) => match ranges.get(self.progress.ranges) {
                None => return Some(Step::Finished),
                Some(&Range { start, len, unmap }) => {
                    self.ask(port, Task::WriteZeroes { start, len, unmap, durable });
                }
            },
        }
        None
    }

    pub(super) fn ask(&mut self, port: &Port, task: Task) {
        self.ticket = Some((port.ask(task), task));
    }

    /// Continues with the port's answer. If there is none yet, returns the file that will become readable.
    pub(super) fn take_answer(&mut self, data: &Buffers) -> Option<u16> {
        let (ticket, task) = self.ticket.as_ref()?;
        let Some(answer) = ticket.answer() else { return Some(ticket.file()) };
        let task = *task;
        self.ticket = None;
        match (answer, task) {
            (Err(errno), _) => self.fail(-errno.0),
            (Ok(Answer::Cluster(cluster)), Task::Expand { start, .. }) => {
                let within = start as usize & (cluster.len() - 1);
                let left = (data.len() - self.progress.done).min((cluster.len() - within) as u64);
                let part = &cluster[within..within + left as usize];
                self.progress.done += data.copy_from(self.progress.done, part) as u64;
            }
            (Ok(_), Task::Discard { .. } | Task::WriteZeroes { .. }) => {
                self.progress.ranges += 1;
                self.progress.done = 0;
            }
            (Ok(_), Task::Flush) => self.progress.synced = true,
            (Ok(_), _) => {}
        }
        None
    }
}
