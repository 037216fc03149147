import koffi from 'koffi';
import { builtFile, howToRepair, version } from '../../project-root.ts';
import { ABI_VERSION } from './abi.ts';
import { SystemError } from './libc.ts';

type Library = ReturnType<typeof koffi.load>;

/** @throws an error for the user: the file is missing, needs a newer glibc, ... */
function load(path: string): Library {
  try {
    return koffi.load(path);
  } catch (error) {
    const reason = String((error as Error).message).replace(/^Failed to load shared library: /, '');
    // ld.so(8): "/lib64/libc.so.6: version `GLIBC_2.34' not found (required by /usr/lib/vring/dist/libvring_native.so)"
    const [, glibc] = /version `GLIBC_([\d.]+)' not found/.exec(reason) ?? [];
    const repair = glibc === undefined ? howToRepair() : `use a system with glibc ${glibc} or newer`;
    throw new Error(`cannot load ${path}: ${reason}; ${repair}`);
  }
}

/** @throws unless the library matches the JavaScript that is about to call it */
function requireMatch(library: Library, path: string): void {
  let found = 'an unknown version';
  try {
    const abi: number = library.func('uint32_t vring_abi_version()')();
    const built: string = library.func('const char *vring_version()')();
    if (built === version() && abi === ABI_VERSION) return;
    found = `vring ${built} (ABI ${abi})`;
  } catch {
    // The function is missing: the library is older.
  }
  throw new Error(
    `${path} belongs to ${found}, but this is vring ${version()} (ABI ${ABI_VERSION}): ${howToRepair()}`,
  );
}

function bind(library: Library) {
  return {
    vring_layout: library.func('const char *vring_layout()'),
    vring_vm_create: library.func(
      'int vring_vm_create(void *counters, uint64_t words, uint32_t max_vcpus, uint32_t max_queues, void *page)',
    ),
    vring_vm_own_fd: library.func('int vring_vm_own_fd(int vm, int fd)'),
    vring_vm_disown_fd: library.func('int vring_vm_disown_fd(int vm, int fd)'),
    vring_vm_own_map: library.func('int vring_vm_own_map(int vm, uint64_t address, uint64_t length)'),
    vring_vm_set_memory: library.func('int vring_vm_set_memory(int vm, void *regions, uint32_t count)'),
    vring_vm_allow_discards: library.func('int vring_vm_allow_discards(int vm, int allowed)'),
    vring_write_log_set: library.func('int vring_write_log_set(uint64_t log, int on)'),
    vring_write_log_take: library.func('int vring_write_log_take(uint64_t log, void *out, uint32_t words)'),
    vring_vm_set_seccomp: library.func('int vring_vm_set_seccomp(int vm, int on)'),
    vring_vm_shutdown: library.func('int vring_vm_shutdown(int vm)'),
    vring_vm_stuck: library.func('int vring_vm_stuck(int vm, void *slots, uint32_t max)'),
    vring_shutdown_all: library.func('int vring_shutdown_all()'),
    vring_vm_destroy: library.func('int vring_vm_destroy(int vm)'),
    vring_vm_select: library.func('int vring_vm_select(int vm)'),
    vring_watch: library.func('int vring_watch(int vm, int fd, uint64_t token, uint32_t flags)'),
    vring_unwatch: library.func('int vring_unwatch(int vm, int fd)'),
    vring_vcpu_start: library.func(
      'int vring_vcpu_start(int vm, uint32_t index, int fd, uint64_t run, uint64_t run_size, int host_cpu)',
    ),
    vring_vcpu_carry: library.func(
      'int vring_vcpu_carry(int vm, uint32_t index, int fd, uint64_t run, uint64_t run_size)',
    ),
    vring_vcpu_resume: library.func('int vring_vcpu_resume(int vm, uint32_t index)'),
    vring_vcpu_pause: library.func('int vring_vcpu_pause(int vm, uint32_t index)'),
    vring_vcpu_stop: library.func('int vring_vcpu_stop(int vm, uint32_t index)'),
    vring_vcpu_error: library.func('int vring_vcpu_error(int vm, uint32_t index, void *text, uint32_t size)'),
    vring_image_open: library.func('int vring_image_open(int vm, void *config)'),
    vring_image_open_qcow2: library.func(
      'int vring_image_open_qcow2(int vm, void *config, void *chain, uint32_t count)',
    ),
    vring_image_set_policy: library.func(
      'int vring_image_set_policy(int vm, uint32_t image, uint32_t reads, uint32_t writes)',
    ),
    vring_image_corruption: library.func(
      'int vring_image_corruption(int vm, uint32_t image, void *text, uint32_t size)',
    ),
    vring_qcow2_inspect: library.func('int vring_qcow2_inspect(int fd, void *text, uint32_t size)'),
    vring_read_cached: library.func(
      'int vring_read_cached(int fd, void *bytes, uint32_t size, int64_t offset)',
    ),
    vring_image_close: library.func('int vring_image_close(int vm, uint32_t image)'),
    vring_image_resize: library.func('int vring_image_resize(int vm, uint32_t image, uint64_t capacity)'),
    vring_image_set_write_through: library.func(
      'int vring_image_set_write_through(int vm, uint32_t image, int on)',
    ),
    vring_limiter_create: library.func('int vring_limiter_create(int vm, void *limits)'),
    vring_limiter_set: library.func('int vring_limiter_set(int vm, uint32_t limiter, void *limits)'),
    vring_limiter_destroy: library.func('int vring_limiter_destroy(int vm, uint32_t limiter)'),
    vring_blk_queue_start: library.func(
      'int vring_blk_queue_start(int vm, void *queue, void *unfinished, uint32_t bytes, void *blk)',
    ),
    vring_rng_queue_start: library.func(
      'int vring_rng_queue_start(int vm, void *queue, void *unfinished, uint32_t bytes, void *rng)',
    ),
    vring_scsi_create: library.func('int vring_scsi_create(int vm, int machine_fd)'),
    vring_scsi_destroy: library.func('int vring_scsi_destroy(int vm, uint32_t controller)'),
    vring_scsi_settle: library.func('int vring_scsi_settle(int vm, uint32_t controller)'),
    vring_scsi_set_sizes: library.func(
      'int vring_scsi_set_sizes(int vm, uint32_t controller, uint32_t cdb, uint32_t sense)',
    ),
    vring_scsi_add_unit: library.func('int vring_scsi_add_unit(int vm, uint32_t controller, void *unit)'),
    vring_scsi_remove_unit: library.func(
      'int vring_scsi_remove_unit(int vm, uint32_t controller, uint32_t address)',
    ),
    vring_scsi_insert: library.func(
      'int vring_scsi_insert(int vm, uint32_t controller, uint32_t address, uint32_t image, uint32_t limiter, int first)',
    ),
    vring_scsi_eject: library.func('int vring_scsi_eject(int vm, uint32_t controller, uint32_t address)'),
    vring_scsi_request_eject: library.func(
      'int vring_scsi_request_eject(int vm, uint32_t controller, uint32_t address)',
    ),
    vring_scsi_capacity_changed: library.func(
      'int vring_scsi_capacity_changed(int vm, uint32_t controller, uint32_t address)',
    ),
    vring_scsi_reset: library.func('int vring_scsi_reset(int vm, uint32_t controller)'),
    vring_scsi_event: library.func(
      'int vring_scsi_event(int vm, uint32_t controller, uint32_t event, uint32_t address, uint32_t reason)',
    ),
    vring_scsi_has_events: library.func('int vring_scsi_has_events(int vm, uint32_t controller)'),
    vring_scsi_miss_events: library.func('int vring_scsi_miss_events(int vm, uint32_t controller)'),
    vring_scsi_unit_state: library.func(
      'int vring_scsi_unit_state(int vm, uint32_t controller, uint32_t address, void *state)',
    ),
    vring_scsi_set_unit_state: library.func(
      'int vring_scsi_set_unit_state(int vm, uint32_t controller, uint32_t address, void *state)',
    ),
    vring_scsi_queue_start: library.func(
      'int vring_scsi_queue_start(int vm, void *queue, void *unfinished, uint32_t bytes, uint32_t controller, uint32_t kind)',
    ),
    vring_wire_open: library.func('int vring_wire_open(int vm, void *config, void *fds)'),
    vring_wire_close: library.func('int vring_wire_close(int vm, uint32_t wire)'),
    vring_wire_set: library.func('int vring_wire_set(int vm, uint32_t wire, int link, uint32_t pairs)'),
    vring_wire_connected: library.func('int vring_wire_connected(int vm, uint32_t wire)'),
    vring_wire_filter: library.func(
      'int vring_wire_filter(int vm, uint32_t wire, void *config, void *addresses, uint32_t length)',
    ),
    vring_wire_limit: library.func(
      'int vring_wire_limit(int vm, uint32_t wire, int transmits, void *limits)',
    ),
    vring_hub_create: library.func('int vring_hub_create(int vm)'),
    vring_hub_destroy: library.func('int vring_hub_destroy(int vm, uint32_t hub)'),
    vring_hub_add: library.func('int vring_hub_add(int vm, uint32_t hub, int fd, uint32_t counter_slot)'),
    vring_hub_remove: library.func('int vring_hub_remove(int vm, uint32_t hub, uint32_t port)'),
    vring_net_queue_start: library.func(
      'int vring_net_queue_start(int vm, void *queue, void *unfinished, uint32_t bytes, void *net)',
    ),
    vring_balloon_queue_start: library.func(
      'int vring_balloon_queue_start(int vm, void *queue, void *unfinished, uint32_t bytes, void *balloon)',
    ),
    vring_balloon_save: library.func('int vring_balloon_save(int vm, _Out_ void *buffer, uint32_t length)'),
    vring_balloon_load: library.func('int vring_balloon_load(int vm, void *saved, uint32_t length)'),
    vring_queue_request_stop: library.func('int vring_queue_request_stop(int vm, int queue)'),
    vring_queue_stop: library.func(
      'int vring_queue_stop(int vm, int queue, uint64_t limit_ns, void *progress, void *unfinished, uint32_t room)',
    ),
    vring_queue_abandon: library.func(
      'int vring_queue_abandon(int vm, int queue, void *progress, void *unfinished, uint32_t room)',
    ),
    vring_queue_error: library.func('int vring_queue_error(int vm, int queue, void *text, uint32_t size)'),
    vring_queue_disk_errors: library.func(
      'int vring_queue_disk_errors(int vm, int queue, int end_period, void *errors, uint32_t max)',
    ),
    vring_job_start: library.func(
      'int vring_job_start(int vm, void *parts, uint32_t count, void *bytes, uint64_t length, int ended_fd)',
    ),
    vring_job_report: library.func('int vring_job_report(int job, void *report)'),
    vring_job_cancel: library.func('int vring_job_cancel(int job)'),
    vring_job_free: library.func('int vring_job_free(int job)'),
    vring_spawn: library.func(
      'int vring_spawn(void *options, void *texts, uint32_t length, void *fds, void *report)',
    ),
    vring_watch_exit: library.func('int vring_watch_exit(int pidfd)'),
    vring_pidfd_signal: library.func('int vring_pidfd_signal(int pidfd, int signal)'),
    vring_confine: library.func(
      'int vring_confine(void *options, void *texts, uint32_t length, void *report)',
    ),
    vring_end_on_signals: library.func('int vring_end_on_signals()'),
    vring_insist_on_signals: library.func('int vring_insist_on_signals()'),
  };
}

export type NativeCalls = ReturnType<typeof bind>;

/**
 * The functions that a machine thread calls for each exit, for the VM selected by `vring_vm_select`: arguments and
 * results are in its WaitPage. As functions of an addon they cost a fifth of what koffi's do.
 */
export type NativeAddon = {
  /** Completes the exit that has been answered, if any, and waits. */
  wait(): void;
  /** Completes the exit that has been answered. */
  complete(): void;
  /** Of this thread's event loop, for NodeLoop; absent if Node does not export libuv's functions. */
  loopFd?(): number;
  loopTimeout?(): number;
  hurryLoop?(): number;
  loopEvents?(): number;
};

let calls: NativeCalls | null = null;

/** Binds the functions of a build of native/. @throws an error for the user */
export function bindNative(path: string): NativeCalls {
  const library = load(path);
  requireMatch(library, path);
  return bind(library);
}

/** The functions of native/, loaded by the first call in each thread. @throws an error for the user */
export function nativeCalls(): NativeCalls {
  calls ??= bindNative(builtFile('libvring_native.so'));
  return calls;
}

let addon: NativeAddon | null = null;

/** The same library's addon, loaded by the first call in each thread. @throws an error for the user */
export function nativeAddon(): NativeAddon {
  if (addon === null) {
    // A library that does not belong to this version is an error there.
    nativeCalls();
    const module = { exports: {} };
    process.dlopen(module, builtFile('libvring_native.so'));
    addon = module.exports as NativeAddon;
  }
  return addon;
}

/** @returns `result`, unless it is a negative errno. @throws SystemError */
export function checked(call: keyof NativeCalls | 'vring_wait' | 'vring_complete', result: number): number {
  if (result < 0) throw new SystemError(call, -result);
  return result;
}
