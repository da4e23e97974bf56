//! The table's file: opened if it is whole and of now, replaced if not.

use super::layout::Size;
use super::memory::{Memory, WORD};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::geteuid;
use std::ffi::OsString;
use std::fs::{File, Metadata, remove_file, rename};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Only the owner may read it, and write.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const ANYBODY_ELSE: u32 = 0o077;

/// Maps the table at a path.
///
/// One process at a time looks and replaces, under a lock that the system drops with the process.
/// A file that is replaced stays what it is for those that have it open.
pub fn open(path: &Path, boot: &[u8], size: Size, now: u64) -> io::Result<Memory> {
    let guard = open_own(&beside(path, ".lock"), OFlags::CREATE)?;
    flock(&guard, FlockOperation::LockExclusive)?;
    match open_own(path, OFlags::empty()) {
        Ok(file) => {
            if let Some(memory) = map(&file, boot, size, now)? {
                return Ok(memory);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let fresh = beside(path, ".new");
    // Of a process that died here; whoever holds the lock is alone.
    match remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let made = make(&fresh, boot, size, now);
    made.and_then(|memory| rename(&fresh, path).map(|()| memory)).inspect_err(|_| {
        let _ = remove_file(&fresh);
    })
}

/// The table in a file, None if it is another's or damaged.
fn map(file: &File, boot: &[u8], size: Size, now: u64) -> io::Result<Option<Memory>> {
    let metadata = file.metadata()?;
    if metadata.len() != length(size) || metadata.mode() & ANYBODY_ELSE != 0 {
        return Ok(None);
    }
    let memory = Memory::shared(file, size.words())?;
    Ok(size.header(&memory).fits(size, boot, now).then_some(memory))
}

fn make(path: &Path, boot: &[u8], size: Size, now: u64) -> io::Result<Memory> {
    let mut file = open_own(path, OFlags::CREATE | OFlags::EXCL)?;
    // Written, not only made longer: on a full disk this fails, where a map would kill the process.
    let zeroes = [0; 16 * 1024];
    let mut left = length(size);
    while left > 0 {
        let part = zeroes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&zeroes[..part])?;
        left -= part as u64;
    }
    let memory = Memory::shared(&file, size.words())?;
    size.header(&memory).write(size, boot, now);
    Ok(memory)
}

/// Opens a plain file of this user's, never through a link at its end.
fn open_own(path: &Path, how: OFlags) -> io::Result<File> {
    let how = how | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, how, PRIVATE)?);
    let metadata: Metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a limit table must be a plain file"));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "a limit table must be our own"));
    }
    Ok(file)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn length(size: Size) -> u64 {
    (size.words() * WORD) as u64
}
