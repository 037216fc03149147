//! Why an operation on an image fails.

use crate::errno::Errno;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An error of the host.
    Errno(Errno),
    /// The image's own tables are wrong, as this clause says.
    Corrupt(String),
}

pub fn corrupt(reason: String) -> Trouble {
    Trouble::Corrupt(reason)
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        Trouble::Errno(errno)
    }
}

impl From<i32> for Trouble {
    fn from(errno: i32) -> Trouble {
        Trouble::Errno(Errno(errno))
    }
}
