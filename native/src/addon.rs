//! The library as a Node-API addon, for the calls that a machine thread makes for each exit. They have no arguments and
//! no result, which pass through the `WaitPage`: converting a handle and a number takes longer than the rest of a call.
//! It also has what a machine on a thread with an event loop needs to know about that loop.

use crate::answer;
use crate::errno::Result;
use crate::handles;
use crate::vm::Vm;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::OnceLock;

/// Opaque pointers of js_native_api_types.h.
type Env = *mut c_void;
type Value = *mut c_void;
type CallbackInfo = *mut c_void;

type Callback = unsafe extern "C" fn(Env, CallbackInfo) -> Value;
type CreateFunction =
    unsafe extern "C" fn(Env, *const c_char, usize, Callback, *mut c_void, *mut Value) -> i32;
type SetNamedProperty = unsafe extern "C" fn(Env, Value, *const c_char, Value) -> i32;
type CreateInt32 = unsafe extern "C" fn(Env, i32, *mut Value) -> i32;
type GetUvEventLoop = unsafe extern "C" fn(Env, *mut UvLoop) -> i32;

/// Opaque pointer of uv.h.
type UvLoop = *mut c_void;
/// A `uv_idle_t` of uv.h, and more: `uv_handle_size` says 120 bytes.
type UvIdle = [u64; 64];
type OfLoop = unsafe extern "C" fn(UvLoop) -> i32;
type OfIdle = unsafe extern "C" fn(*mut UvIdle) -> i32;
type IdleCallback = unsafe extern "C" fn(*mut UvIdle);
type IdleInit = unsafe extern "C" fn(UvLoop, *mut UvIdle) -> i32;
type IdleStart = unsafe extern "C" fn(*mut UvIdle, IdleCallback) -> i32;
type MetricsInfo = unsafe extern "C" fn(UvLoop, *mut UvMetrics) -> i32;

/// `uv_metrics_t` of uv.h.
#[repr(C)]
#[derive(Default)]
struct UvMetrics {
    loop_count: u64,
    events: u64,
    events_waiting: u64,
    reserved: [u64; 13],
}

const NAPI_OK: i32 = 0;

/// What the library needs of Node. It is looked up rather than linked, since the library's tests run without Node.
struct Node {
    create_function: CreateFunction,
    set_named_property: SetNamedProperty,
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: `name` is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// What it needs of the event loop of a thread: Node's executable exports libuv's functions to addons.
struct EventLoop {
    create_int32: CreateInt32,
    get_uv_event_loop: GetUvEventLoop,
    backend_fd: OfLoop,
    backend_timeout: OfLoop,
    metrics_info: MetricsInfo,
    idle_init: IdleInit,
    idle_start: IdleStart,
    idle_stop: OfIdle,
}

static EVENT_LOOP: OnceLock<Option<EventLoop>> = OnceLock::new();

thread_local! {
    /// The idle handle of this thread's loop, once it is needed. While one is active, the loop polls without blocking.
    static IDLE: Cell<*mut UvIdle> = const { Cell::new(null_mut()) };
}

impl EventLoop {
    fn find() -> Option<EventLoop> {
        let create = symbol(c"napi_create_int32")?;
        let get = symbol(c"napi_get_uv_event_loop")?;
        let fd = symbol(c"uv_backend_fd")?;
        let timeout = symbol(c"uv_backend_timeout")?;
        let metrics = symbol(c"uv_metrics_info")?;
        let init = symbol(c"uv_idle_init")?;
        let start = symbol(c"uv_idle_start")?;
        let stop = symbol(c"uv_idle_stop")?;
        // SAFETY: these are the functions' types in js_native_api.h, node_api.h and uv.h, which are stable.
        unsafe {
            Some(EventLoop {
                create_int32: transmute::<*mut c_void, CreateInt32>(create),
                get_uv_event_loop: transmute::<*mut c_void, GetUvEventLoop>(get),
                backend_fd: transmute::<*mut c_void, OfLoop>(fd),
                backend_timeout: transmute::<*mut c_void, OfLoop>(timeout),
                metrics_info: transmute::<*mut c_void, MetricsInfo>(metrics),
                idle_init: transmute::<*mut c_void, IdleInit>(init),
                idle_start: transmute::<*mut c_void, IdleStart>(start),
                idle_stop: transmute::<*mut c_void, OfIdle>(stop),
            })
        }
    }

    /// Makes the loop of this thread poll without blocking, or block again.
    ///
    /// # Safety
    /// `uv` is the loop of this thread.
    unsafe fn hurry(&self, uv: UvLoop, on: bool) -> i32 {
        let mut idle = IDLE.get();
        // SAFETY: the handle lives as long as the process, and so the loop, and is only used on its thread.
        unsafe {
            if idle.is_null() {
                idle = Box::leak(Box::new([0; 64]));
                (self.idle_init)(uv, idle);
                IDLE.set(idle);
            }
            if on { (self.idle_start)(idle, on_idle) } else { (self.idle_stop)(idle) }
        }
    }
}

unsafe extern "C" fn on_idle(_: *mut UvIdle) {}

impl Node {
    fn find() -> Option<Node> {
        let (create, set) = (symbol(c"napi_create_function")?, symbol(c"napi_set_named_property")?);
        // SAFETY: these are the functions' types in js_native_api.h, which is stable.
        unsafe {
            Some(Node {
                create_function: transmute::<*mut c_void, CreateFunction>(create),
                set_named_property: transmute::<*mut c_void, SetNamedProperty>(set),
            })
        }
    }

    /// # Safety
    /// `env` and `object` are those of the call from Node that is being served.
    unsafe fn define(&self, env: Env, object: Value, name: &CStr, callback: Callback) -> bool {
        let mut function = null_mut();
        // SAFETY: the caller's promise; `name` is a C string, and the function keeps no pointer to this stack.
        unsafe {
            let length = name.count_bytes();
            (self.create_function)(env, name.as_ptr(), length, callback, null_mut(), &mut function) == NAPI_OK
                && (self.set_named_property)(env, object, name.as_ptr(), function) == NAPI_OK
        }
    }
}

/// Called by `process.dlopen` in each thread. Returns the exports; without functions if this is no Node.
///
/// # Safety
/// Called by Node, as for any addon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: Env, exports: Value) -> Value {
    if let Some(node) = Node::find() {
        // SAFETY: both are valid during this call.
        unsafe {
            let _ =
                node.define(env, exports, c"wait", wait) && node.define(env, exports, c"complete", complete);
            if EVENT_LOOP.get_or_init(EventLoop::find).is_some() {
                let _ = node.define(env, exports, c"loopFd", loop_fd)
                    && node.define(env, exports, c"loopTimeout", loop_timeout)
                    && node.define(env, exports, c"hurryLoop", hurry_loop)
                    && node.define(env, exports, c"loopEvents", loop_events);
            }
        }
    }
    exports
}

/// Waits for the VM that the thread has selected, as its `WaitPage` specifies.
unsafe extern "C" fn wait(_: Env, _: CallbackInfo) -> Value {
    // SAFETY: the promise made by `vring_vm_create`'s caller.
    by_page(|vm| unsafe { vm.wait_by_page() }.map(|events| events as i32))
}

/// Completes the exit that the `WaitPage` of the selected VM names, without waiting.
unsafe extern "C" fn complete(_: Env, _: CallbackInfo) -> Value {
    // SAFETY: as above.
    by_page(|vm| unsafe { vm.complete_by_page() }.map(|()| 0))
}

/// The result goes into the page, and JavaScript gets `undefined`.
fn by_page(action: impl FnOnce(&Vm) -> Result<i32>) -> Value {
    handles::with_selected(|vm| {
        let result = answer(|| action(vm));
        // SAFETY: the page's owner is the caller.
        unsafe { vm.put_result(result) };
        result >= 0
    });
    null_mut()
}

/// The fd that is readable once the thread's event loop has an event to handle.
unsafe extern "C" fn loop_fd(env: Env, _: CallbackInfo) -> Value {
    // SAFETY: `env` is that of the call.
    unsafe { of_loop(env, |node, uv| (node.backend_fd)(uv)) }
}

/// Milliseconds until the next timer of the thread's event loop; -1 without timers, 0 if it has something to do now. Ends
/// what `hurry_loop` has begun.
unsafe extern "C" fn loop_timeout(env: Env, _: CallbackInfo) -> Value {
    // SAFETY: as above.
    unsafe {
        of_loop(env, |node, uv| {
            node.hurry(uv, false);
            (node.backend_timeout)(uv)
        })
    }
}

/// Makes the thread's event loop poll without blocking, until `loop_timeout` is called.
unsafe extern "C" fn hurry_loop(env: Env, _: CallbackInfo) -> Value {
    // SAFETY: as above.
    unsafe { of_loop(env, |node, uv| node.hurry(uv, true)) }
}

/// The low 31 bits of the number of events that the thread's event loop has handled.
unsafe extern "C" fn loop_events(env: Env, _: CallbackInfo) -> Value {
    let events = |node: &EventLoop, uv| {
        let mut metrics = UvMetrics::default();
        // SAFETY: both are valid, and libuv keeps neither.
        unsafe { (node.metrics_info)(uv, &mut metrics) };
        (metrics.events & 0x7fff_ffff) as i32
    };
    // SAFETY: as above.
    unsafe { of_loop(env, events) }
}

/// # Safety
/// `env` is that of the call from Node that is being served.
unsafe fn of_loop(env: Env, read: impl FnOnce(&EventLoop, UvLoop) -> i32) -> Value {
    let (mut uv, mut value) = (null_mut(), null_mut());
    if let Some(Some(node)) = EVENT_LOOP.get() {
        // SAFETY: the caller's promise; the loop is that of this thread, which is here.
        unsafe {
            if (node.get_uv_event_loop)(env, &mut uv) == NAPI_OK {
                (node.create_int32)(env, read(node, uv), &mut value);
            }
        }
    }
    value
}
