//! What goes over the pipes: a length of four bytes, big-endian, and that many bytes.
//!
//! A request is the script's length, the script, the event's length, the event and the body. An
//! answer is its head's length, its head as JSON, and the body.

use super::{Outcome, Request};
use serde_json::json;
use std::io::{self, Read, Write};

const LENGTH: usize = 4;

/// Reads a frame; `None` where the other side has closed.
pub fn read(input: &mut impl Read, longest: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; LENGTH];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > longest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length];
    input.read_exact(&mut frame)?;
    Ok(Some(frame))
}

/// Writes a frame of several parts.
pub fn write(output: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(LENGTH + length);
    frame.extend_from_slice(&length_of(length)?);
    for part in parts {
        frame.extend_from_slice(part);
    }
    output.write_all(&frame)?;
    output.flush()
}

/// Takes a request apart.
pub fn request(frame: &[u8]) -> io::Result<Request<'_>> {
    let (source, rest) = part(frame)?;
    let (event, body) = part(rest)?;
    let source = std::str::from_utf8(source).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Request { source, event, body })
}

/// Writes what a run came to, and the nanoseconds of the processor that it took.
pub fn answer(output: &mut impl Write, outcome: &Outcome, cpu_ns: u64) -> io::Result<()> {
    let mut body: &[u8] = &[];
    let head = match outcome {
        Outcome::Changed(changed) => {
            body = changed.body.as_deref().unwrap_or_default();
            json!({
                "kind": "changed",
                "cpu_ns": cpu_ns,
                "content_type": changed.content_type,
                "headers": changed.headers,
                "has_body": changed.body.is_some(),
                "is_json": changed.is_json,
            })
        }
        Outcome::Dropped => json!({ "kind": "dropped", "cpu_ns": cpu_ns }),
        Outcome::Failed(failure) => json!({
            "kind": failure.kind.name(),
            "cpu_ns": cpu_ns,
            "message": failure.message,
            "line": failure.line,
            "column": failure.column,
        }),
    };
    let head = head.to_string();
    write(output, &[&length_of(head.len())?, head.as_bytes(), body])
}

fn length_of(length: usize) -> io::Result<[u8; LENGTH]> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn part(frame: &[u8]) -> io::Result<(&[u8], &[u8])> {
    let (length, rest) = frame.split_at_checked(LENGTH).ok_or(io::ErrorKind::InvalidData)?;
    let length = <[u8; LENGTH]>::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
