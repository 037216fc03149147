//! The native side of one VM: its reactor, its threads, and the files and mappings it owns.

mod table;
#[cfg(test)]
mod tests;

use crate::balloon::{BalloonConfig, BalloonWorker, Collection};
use crate::blk::{BlkConfig, BlkWorker};
use crate::clock::now_ns;
use crate::counters::{Block, Counters};
use crate::errno::{Errno, Result};
#[cfg(test)]
use crate::event::Event;
use crate::event::{FOREVER, WaitPage};
use crate::image::Image;
use crate::limiter::Limiter;
use crate::memory::{Discards, GuestRam};
use crate::net::{Hub, NetConfig, Receiver, Transmitter, Wire};
use crate::queue_thread::{QueueConfig, QueueThread, Queues, Server, Surroundings, Worker};
use crate::reactor::{MAX_VCPUS, Reactor};
use crate::rng::{RngConfig, RngWorker};
use crate::scsi::abi::scsi_queue;
use crate::scsi::{ControlWorker, Controller, EventWorker, ScsiWorker};
use crate::seccomp::Filter;
use crate::snapshot::{Gate, Job};
use crate::sync::lock;
use crate::vcpu::{Carried, Core, RunPage, Vcpu, VcpuThread};
use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use table::Table;

const REAPER_STACK: usize = 128 * 1024;

pub struct Vm {
    counters: Counters,
    reactor: Arc<Reactor>,
    seccomp: AtomicBool,
    vcpus: Mutex<Vcpus>,
    /// The vCPU that the machine thread runs itself.
    carried: Mutex<Option<Arc<Carried>>>,
    queues: Queues,
    jobs: Mutex<Jobs>,
    images: Table<Arc<dyn Image>>,
    limiters: Table<Arc<Limiter>>,
    controllers: Table<Arc<Controller>>,
    wires: Table<Arc<Wire>>,
    hubs: Table<Arc<Hub>>,
    memory: Mutex<Arc<GuestRam>>,
    discards: Arc<Discards>,
    /// What its balloon's queues share.
    collection: Arc<Collection>,
    owned: Mutex<Owned>,
    page: AtomicPtr<WaitPage>,
    /// Since when the waiting thread has been busy with what follows its last event, or answer to a vCPU's thread.
    answering_since: AtomicU64,
    /// Held while ending threads, so that nothing is unmapped before they have ended.
    ending: Mutex<()>,
}

struct Vcpus {
    slots: Vec<Option<Vcpu>>,
    closed: bool,
}

/// The gates of the jobs that may touch the VM's memory.
#[derive(Default)]
struct Jobs {
    gates: Vec<Weak<Gate>>,
    closed: bool,
}

/// What destroying the VM closes and unmaps.
#[derive(Default)]
struct Owned {
    fds: BTreeSet<RawFd>,
    /// Address and length.
    maps: Vec<(usize, usize)>,
}

impl Vm {
    pub fn new(counters: Counters, max_vcpus: usize) -> Result<Vm> {
        if max_vcpus == 0 || max_vcpus > MAX_VCPUS {
            return Err(Errno(libc::EINVAL));
        }
        crate::seccomp::settle_allocator();
        Ok(Vm {
            counters,
            reactor: Arc::new(Reactor::new()?),
            seccomp: AtomicBool::new(true),
            vcpus: Mutex::new(Vcpus { slots: (0..max_vcpus).map(|_| None).collect(), closed: false }),
            carried: Mutex::default(),
            queues: Queues::default(),
            jobs: Mutex::default(),
            images: Table::default(),
            limiters: Table::default(),
            controllers: Table::default(),
            wires: Table::default(),
            hubs: Table::default(),
            memory: Mutex::default(),
            discards: Arc::default(),
            collection: Arc::default(),
            owned: Mutex::default(),
            page: AtomicPtr::default(),
            answering_since: AtomicU64::default(),
            ending: Mutex::default(),
        })
    }

    /// With a page for `wait_by_page`.
    pub fn waiting_by(self, page: *mut WaitPage) -> Vm {
        self.page.store(page, Relaxed);
        self
    }

    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    /// `deadline_ns` is on CLOCK_MONOTONIC; None for forever, 0 to return immediately.
    #[cfg(test)]
    pub fn wait(&self, out: &mut [Event], deadline_ns: Option<u64>) -> Result<usize> {
        let carried = self.carried_while_waiting()?;
        self.reactor.wait(out, deadline_ns, &self.queues, carried.as_deref())
    }

    /// Completes the exit that has been answered, and waits, as the page specifies.
    ///
    /// # Safety
    /// The page is valid until the VM has been shut down, and nothing else accesses it during the call.
    pub unsafe fn wait_by_page(&self) -> Result<usize> {
        let carried = self.carried_while_waiting()?;
        // SAFETY: the caller's promise; a WaitPage is plain data, so any bytes will do.
        let page = unsafe { self.page.load(Relaxed).as_mut() }.ok_or(Errno(libc::EINVAL))?;
        let mut now = None;
        if let Some(index) = std::mem::take(&mut page.answered).checked_sub(1) {
            match &*carried {
                Some(carried) if carried.index() == index as usize => {
                    let (took, at) = carried.complete_timed()?;
                    self.count_answer(page, took);
                    now = Some(at);
                }
                _ => self.complete(page, index as usize)?,
            }
        }
        let timeout = match page.timeout_ns {
            0 => 0,
            FOREVER => FOREVER,
            ns => now.unwrap_or_else(now_ns).saturating_add(ns),
        };
        let deadline = timeout.min(page.deadline_ns);
        let deadline = (deadline != FOREVER).then_some(deadline);
        let events = self.reactor.wait(&mut page.events, deadline, &self.queues, carried.as_deref())?;
        if carried.is_none() {
            self.answering_since.store(now_ns(), Relaxed);
        }
        Ok(events)
    }

    /// Completes the exit that the page says has been answered.
    ///
    /// # Safety
    /// As for `wait_by_page`.
    pub unsafe fn complete_by_page(&self) -> Result<()> {
        // SAFETY: the caller's promise; a WaitPage is plain data, so any bytes will do.
        let page = unsafe { self.page.load(Relaxed).as_mut() }.ok_or(Errno(libc::EINVAL))?;
        let index = std::mem::take(&mut page.answered).checked_sub(1).ok_or(Errno(libc::EINVAL))?;
        self.complete(page, index as usize)
    }

    /// Completes an exit of a vCPU with its own thread. What that waited for the machine thread is not the device's time.
    fn complete(&self, page: &mut WaitPage, index: usize) -> Result<()> {
        self.with_vcpu(index, Vcpu::complete)?;
        let now = now_ns();
        self.count_answer(page, now - self.answering_since.swap(now, Relaxed));
        Ok(())
    }

    /// Adds the time of an answer to the words that the page names.
    fn count_answer(&self, page: &mut WaitPage, took_ns: u64) {
        for word in [std::mem::take(&mut page.range_ns), std::mem::take(&mut page.address_ns)] {
            self.counters.add(word as usize, took_ns);
        }
    }

    /// Sets the result of the call for which the page is.
    ///
    /// # Safety
    /// The page is valid, and nothing else accesses it during the call.
    pub unsafe fn put_result(&self, result: i32) {
        // SAFETY: the caller's promise.
        if let Some(page) = unsafe { self.page.load(Relaxed).as_mut() } {
            page.result = result;
        }
    }

    /// Held by the waiting thread.
    fn carried_while_waiting(&self) -> Result<MutexGuard<'_, Option<Arc<Carried>>>> {
        let carried = self.carried.try_lock();
        if self.reactor.is_closed() {
            return Err(Errno(libc::ECANCELED));
        }
        carried.map_err(|_| Errno(libc::EBUSY))
    }

    pub fn set_seccomp(&self, on: bool) {
        self.seccomp.store(on, SeqCst);
    }

    pub fn has_seccomp(&self) -> bool {
        self.seccomp.load(SeqCst)
    }

    pub fn own_fd(&self, fd: RawFd) -> Result<()> {
        if fd < 0 || !lock(&self.owned).fds.insert(fd) {
            return Err(Errno(libc::EINVAL));
        }
        Ok(())
    }

    /// Closes an owned fd now.
    pub fn disown_fd(&self, fd: RawFd) -> Result<()> {
        if !lock(&self.owned).fds.remove(&fd) {
            return Err(Errno(libc::ENOENT));
        }
        close(fd);
        Ok(())
    }

    pub fn own_map(&self, address: usize, len: usize) -> Result<()> {
        if address == 0 || len == 0 {
            return Err(Errno(libc::EINVAL));
        }
        lock(&self.owned).maps.push((address, len));
        Ok(())
    }

    /// Sets what queue threads may access. Running threads switch soon after this has returned.
    pub fn set_memory(&self, ram: GuestRam) {
        let ram = Arc::new(ram);
        *lock(&self.memory) = ram.clone();
        self.queues.use_memory(&ram);
    }

    /// Starts a vCPU's thread, parked. May replace a vCPU that has ended.
    pub fn start_vcpu(&self, index: usize, fd: RawFd, run_page: RunPage, cpu: Option<usize>) -> Result<()> {
        let filter = match self.seccomp.load(SeqCst) {
            true => Some(Filter::vcpu(fd, self.reactor.wake_fd())?),
            false => None,
        };
        self.add_vcpu(index, || {
            let core = self.core(index, fd, run_page)?;
            Ok(Vcpu::Thread(VcpuThread::start(core, cpu, filter)?))
        })
    }

    /// Makes the calling thread run a vCPU, which starts parked, whenever it waits for events. May
    /// replace a vCPU that has ended.
    pub fn carry_vcpu(&self, index: usize, fd: RawFd, run_page: RunPage) -> Result<()> {
        self.add_vcpu(index, || {
            let carried = Arc::new(Carried::new(self.core(index, fd, run_page)?)?);
            *lock(&self.carried) = Some(carried.clone());
            Ok(Vcpu::Carried(carried))
        })
    }

    fn core(&self, index: usize, fd: RawFd, run_page: RunPage) -> Result<Core> {
        let counters = self.counters.vcpu(index)?;
        Ok(Core { index, fd, run_page, counters, reactor: self.reactor.clone() })
    }

    fn add_vcpu(&self, index: usize, start: impl FnOnce() -> Result<Vcpu>) -> Result<()> {
        let mut vcpus = lock(&self.vcpus);
        if vcpus.closed {
            return Err(Errno(libc::ECANCELED));
        }
        let slot = vcpus.slots.get_mut(index).ok_or(Errno(libc::EINVAL))?;
        if slot.as_ref().is_some_and(|vcpu| !vcpu.has_ended()) {
            return Err(Errno(libc::EBUSY));
        }
        *slot = None;
        *slot = Some(start()?);
        Ok(())
    }

    pub fn with_vcpu<T>(&self, index: usize, action: impl FnOnce(&Vcpu) -> Result<T>) -> Result<T> {
        let vcpus = lock(&self.vcpus);
        let vcpu = vcpus.slots.get(index).ok_or(Errno(libc::EINVAL))?;
        action(vcpu.as_ref().ok_or(Errno(libc::ESRCH))?)
    }

    /// The images of the VM's disks.
    pub fn images(&self) -> &Table<Arc<dyn Image>> {
        &self.images
    }

    pub fn limiters(&self) -> &Table<Arc<Limiter>> {
        &self.limiters
    }

    /// SCSI controllers.
    pub fn controllers(&self) -> &Table<Arc<Controller>> {
        &self.controllers
    }

    /// The connections of the VM's network cards.
    pub fn wires(&self) -> &Table<Arc<Wire>> {
        &self.wires
    }

    /// Its hubs.
    pub fn hubs(&self) -> &Table<Arc<Hub>> {
        &self.hubs
    }

    /// The block of a queue, or of anything counted like one.
    pub fn queue_counters(&self, slot: u32) -> Result<Block> {
        self.counters.queue(slot as usize)
    }

    /// Adds a port to a hub; it counts in a queue's block. Returns its number.
    pub fn add_hub_port(&self, hub: u32, fd: RawFd, counter_slot: u32) -> Result<u32> {
        self.hubs.get(hub)?.add(fd, self.queue_counters(counter_slot)?)
    }

    /// Serves a queue of a network card.
    pub fn start_net_queue(&self, queue: &QueueConfig, unfinished: &[u8], net: &NetConfig) -> Result<u32> {
        let (wire, features) = (self.wires.get(net.wire)?, queue.features);
        match net.transmits {
            0 => self.start_server(queue, unfinished, Receiver::new(wire, net.pair, features)),
            _ => self.start_server(queue, unfinished, Transmitter::new(wire, net.pair, features)),
        }
    }

    /// Serves a virtio-blk queue. `unfinished` as in `QueueProgress`.
    pub fn start_blk_queue(&self, queue: &QueueConfig, unfinished: &[u8], blk: &BlkConfig) -> Result<u32> {
        let (image, limiter) = (self.images.get(blk.image)?, self.limiter(blk.limiter)?);
        image.prepare()?;
        self.start_queue(queue, unfinished, BlkWorker::new(blk, queue.features, image, limiter))
    }

    /// Serves a virtio-rng queue.
    pub fn start_rng_queue(&self, queue: &QueueConfig, unfinished: &[u8], rng: &RngConfig) -> Result<u32> {
        self.start_queue(queue, unfinished, RngWorker::new(self.limiter(rng.limiter)?))
    }

    /// Serves a queue of a SCSI controller; `kind` is one of `scsi_queue`.
    pub fn start_scsi_queue(
        &self,
        queue: &QueueConfig,
        unfinished: &[u8],
        controller: u32,
        kind: u32,
    ) -> Result<u32> {
        let controller = self.controllers.get(controller)?;
        match kind {
            scsi_queue::CONTROL => self.start_queue(queue, unfinished, ControlWorker(controller)),
            scsi_queue::EVENTS => self.start_queue(queue, unfinished, EventWorker(controller)),
            scsi_queue::REQUESTS => {
                controller.prepare()?;
                self.start_queue(queue, unfinished, ScsiWorker::new(controller))
            }
            _ => Err(Errno(libc::EINVAL)),
        }
    }

    /// Serves a virtio-balloon queue.
    pub fn start_balloon_queue(
        &self,
        queue: &QueueConfig,
        unfinished: &[u8],
        balloon: &BalloonConfig,
    ) -> Result<u32> {
        let (discards, collection) = (self.discards.clone(), self.collection.clone());
        let worker = BalloonWorker::new(balloon, queue.features, discards, collection)?;
        self.start_queue(queue, unfinished, worker)
    }

    /// The pages that its balloon has not given back to the host yet.
    pub fn collection(&self) -> &Collection {
        &self.collection
    }

    /// Controls whether pages of its RAM may be given back to the host.
    pub fn discards(&self) -> &Discards {
        &self.discards
    }

    fn start_queue<W: Worker>(&self, queue: &QueueConfig, unfinished: &[u8], worker: W) -> Result<u32> {
        let surroundings = self.surroundings(queue)?;
        self.queues.add(queue.counter_slot, || QueueThread::start(queue, unfinished, worker, surroundings))
    }

    fn start_server<S: Server>(&self, queue: &QueueConfig, unfinished: &[u8], server: S) -> Result<u32> {
        let surroundings = self.surroundings(queue)?;
        let start = || QueueThread::start_server(queue, unfinished, server, surroundings);
        self.queues.add(queue.counter_slot, start)
    }

    fn surroundings(&self, queue: &QueueConfig) -> Result<Surroundings> {
        Ok(Surroundings {
            ram: lock(&self.memory).clone(),
            counters: self.queue_counters(queue.counter_slot)?,
            reactor: self.reactor.clone(),
            seccomp: self.seccomp.load(SeqCst),
        })
    }

    /// None for -1.
    fn limiter(&self, handle: i32) -> Result<Option<Arc<Limiter>>> {
        u32::try_from(handle).ok().map(|handle| self.limiters.get(handle)).transpose()
    }

    /// Starts a job that may touch the VM's memory until it is shut down.
    pub fn add_job(&self, start: impl FnOnce() -> Result<Job>) -> Result<Job> {
        let mut jobs = lock(&self.jobs);
        if jobs.closed {
            return Err(Errno(libc::ECANCELED));
        }
        jobs.gates.retain(|gate| gate.strong_count() > 0);
        let job = start()?;
        jobs.gates.push(Arc::downgrade(&job.gate()));
        Ok(job)
    }

    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Ends all threads and makes `wait` fail. May be called from any thread, whatever the machine thread is doing.
    /// Does not wait for queue threads that are stuck in a disk request.
    pub fn shutdown(&self) {
        let _ending = lock(&self.ending);
        self.reactor.close();
        let vcpus = {
            let mut vcpus = lock(&self.vcpus);
            vcpus.closed = true;
            vcpus.slots.iter_mut().filter_map(Option::take).collect::<Vec<_>>()
        };
        vcpus.iter().for_each(Vcpu::stop);
        // The reactor has been closed: the machine thread leaves its wait, and the guest, and enters neither again.
        let carried = lock(&self.carried).take();
        if let Some(carried) = carried {
            carried.close();
        }
        drop(vcpus);
        let gates = {
            let mut jobs = lock(&self.jobs);
            jobs.closed = true;
            std::mem::take(&mut jobs.gates)
        };
        gates.iter().filter_map(Weak::upgrade).for_each(|gate| gate.close());
        // Their threads use counters in memory that is unmapped later.
        self.hubs.clear();
        self.queues.close();
    }

    /// Called after `shutdown`: unmaps and closes what the VM owns. While a queue thread is stuck in a disk request,
    /// the kernel may still write to guest memory, which is then unmapped later, when the request has ended.
    pub fn release(&self) {
        let owned = std::mem::take(&mut *lock(&self.owned));
        self.controllers.clear();
        self.images.clear();
        self.wires.clear();
        let stuck = self.queues.take_stuck();
        if stuck.is_empty() {
            owned.maps.into_iter().for_each(unmap);
        } else {
            unmap_after(stuck, owned.maps);
        }
        owned.fds.into_iter().for_each(close);
    }
}

/// Unmaps `maps` once the threads of `stuck` have ended, in the background.
fn unmap_after(stuck: Vec<QueueThread>, maps: Vec<(usize, usize)>) {
    // If no thread can be started for it, everything is leaked.
    let leaked = std::mem::ManuallyDrop::new((stuck, maps));
    let _ =
        std::thread::Builder::new().name("vring-stuck".into()).stack_size(REAPER_STACK).spawn(move || {
            let (mut stuck, maps) = std::mem::ManuallyDrop::into_inner(leaked);
            stuck.iter_mut().for_each(QueueThread::join);
            maps.into_iter().for_each(unmap);
        });
}

fn unmap((address, len): (usize, usize)) {
    // SAFETY: the VM owns the mapping, and no thread of the VM is running.
    unsafe { libc::munmap(address as *mut libc::c_void, len) };
}

fn close(fd: RawFd) {
    // SAFETY: the VM owns `fd`; nothing else closes it.
    unsafe { libc::close(fd) };
}
