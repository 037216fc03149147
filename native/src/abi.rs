//! The single definition of what crosses the C ABI. A struct or set of constants written with these macros
//! describes itself; `npm run abi` generates `src/vmm/native/abi.ts` from the descriptions, and a test
//! fails when that file is stale.

use std::fmt::Write;

/// A type that may be a field of a struct that JavaScript reads and writes: any bytes are a valid value.
///
/// # Safety
/// The type has no padding that is read and no invalid values.
pub unsafe trait Plain: Copy {
    /// The type as JSON: a scalar's name, `{"array":...,"length":n}` or `{"struct":"Name"}`.
    fn type_json() -> String;
}

macro_rules! scalars {
    ($($rust:ty = $name:literal),*) => {
        $(
            // SAFETY: an integer.
            unsafe impl Plain for $rust {
                fn type_json() -> String {
                    concat!("\"", $name, "\"").into()
                }
            }
        )*
    };
}
scalars!(u8 = "u8", u16 = "u16", u32 = "u32", i32 = "s32", u64 = "u64");

// SAFETY: its elements are plain.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {
    fn type_json() -> String {
        format!("{{\"array\":{},\"length\":{N}}}", T::type_json())
    }
}

/// A struct with a C layout.
pub trait Described {
    fn json() -> String;
}

/// Defines a struct that crosses the C ABI. Its `Default` is all zeros.
#[macro_export]
macro_rules! abi_struct {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $( $(#[doc = $field_doc:literal])* pub $field:ident: $type:ty, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
        }

        // SAFETY: its fields are plain.
        unsafe impl $crate::abi::Plain for $name {
            fn type_json() -> String {
                concat!("{\"struct\":\"", stringify!($name), "\"}").into()
            }
        }

        impl Default for $name {
            fn default() -> $name {
                // SAFETY: plain, so zeros are valid.
                unsafe { std::mem::zeroed() }
            }
        }

        impl $crate::abi::Described for $name {
            fn json() -> String {
                let fields = [$(
                    $crate::abi::field_json(
                        stringify!($field),
                        concat!("", $($field_doc, "\n"),*),
                        &<$type as $crate::abi::Plain>::type_json(),
                        std::mem::offset_of!($name, $field),
                    ),
                )*];
                $crate::abi::struct_json(
                    stringify!($name),
                    concat!("", $($doc, "\n"),*),
                    &fields.join(","),
                    size_of::<$name>(),
                )
            }
        }
    };
}

/// Defines a module of constants that cross the C ABI, and `json`, which describes them under their JavaScript name.
#[macro_export]
macro_rules! abi_constants {
    (
        $(#[doc = $doc:literal])*
        pub mod $module:ident as $name:ident: $type:ty {
            $( $(#[doc = $value_doc:literal])* $value:ident = $number:expr, )*
        }
    ) => {
        $(#[doc = $doc])*
        pub mod $module {
            $( $(#[doc = $value_doc])* pub const $value: $type = $number; )*

            pub fn json() -> String {
                let values = [$(
                    $crate::abi::value_json(stringify!($value), concat!("", $($value_doc, "\n"),*), $value as u64),
                )*];
                $crate::abi::constants_json(stringify!($name), concat!("", $($doc, "\n"),*), &values.join(","))
            }
        }
    };
}

pub fn field_json(name: &str, doc: &str, type_json: &str, offset: usize) -> String {
    format!("{{\"name\":\"{name}\",\"doc\":{},\"type\":{type_json},\"offset\":{offset}}}", text(doc))
}

pub fn struct_json(name: &str, doc: &str, fields: &str, size: usize) -> String {
    format!("{{\"name\":\"{name}\",\"doc\":{},\"fields\":[{fields}],\"size\":{size}}}", text(doc))
}

pub fn value_json(name: &str, doc: &str, value: u64) -> String {
    format!("{{\"name\":\"{name}\",\"doc\":{},\"value\":{value}}}", text(doc))
}

pub fn constants_json(name: &str, doc: &str, values: &str) -> String {
    format!("{{\"name\":\"{name}\",\"doc\":{},\"values\":[{values}]}}", text(doc))
}

/// A JSON string.
fn text(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            other => json.push(other),
        }
    }
    json.push('"');
    json
}
