//! Files by directory handle. Every path is relative to a handle and resolved by the kernel with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV`, so a planted
//! link or a foreign mount leads to an error, never elsewhere. One verb, one file.

mod clock;
mod copy;
mod dir;
mod durable;
mod handle;
mod make;
mod meta;
mod open;
mod path;
mod rename;
mod stat;
mod tree;
mod xattr;

pub use clock::clock;
pub use copy::{Copied, clone_or_copy, compare, is_between, overwrite};
pub use dir::{DirEntry, is_empty, read_dir};
pub use durable::{
    lock_exclusive, read_small, reserve, sync_dir, sync_file, sync_fs, sync_journal, try_lock_exclusive, unlock,
    write_durable, write_replace,
};
pub use handle::{FileHandle, file_handle, open_by_handle};
pub use make::{ensure_dir, ensure_dirs, give, link_new, make_dir, write_new};
pub use meta::{Pin, dress_like, set_times};
pub use open::{
    create_file, is_in_use, leads_elsewhere, offset, open_dir, open_dir_read, open_file, open_parent, open_root,
    open_rw, read_link, seek, split,
};
pub use path::{
    hold, is_directory, is_file_within, open_to_read, position, readable, real_position, searchable, subdirectories,
    writable,
};
pub use rename::{exchange, hard_link, move_free, remove_dir, remove_file};
pub use stat::{Space, Stat, Time, device, has_room, space, stat_at, stat_fd, stat_path};
pub use tree::{remove_tree, tree_usage};
pub use xattr::{list_at as xattr_names_at, read_at as xattr_at};
