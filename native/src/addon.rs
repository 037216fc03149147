//! The library as a Node-API addon, for the calls that a machine thread makes for each exit. They have no arguments and
//! no result, which pass through the `WaitPage`: converting a handle and a number takes longer than the rest of a call.

use crate::answer;
use crate::errno::Result;
use crate::handles;
use crate::vm::Vm;
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr::null_mut;

/// Opaque pointers of js_native_api_types.h.
type Env = *mut c_void;
type Value = *mut c_void;
type CallbackInfo = *mut c_void;

type Callback = unsafe extern "C" fn(Env, CallbackInfo) -> Value;
type CreateFunction =
    unsafe extern "C" fn(Env, *const c_char, usize, Callback, *mut c_void, *mut Value) -> i32;
type SetNamedProperty = unsafe extern "C" fn(Env, Value, *const c_char, Value) -> i32;

const NAPI_OK: i32 = 0;

/// What the library needs of Node. It is looked up rather than linked, since the library's tests run without Node.
struct Node {
    create_function: CreateFunction,
    set_named_property: SetNamedProperty,
}

impl Node {
    fn find() -> Option<Node> {
        let symbol = |name: &CStr| {
            // SAFETY: `name` is a C string.
            let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
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
