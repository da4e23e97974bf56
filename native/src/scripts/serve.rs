//! The loop of the process that runs scripts: a request, an answer, until the input ends.

use super::engine::cpu_time;
use super::{Limits, run, wire};
use std::io::{self, Read, Write};

/// Answers requests until the input ends.
///
/// The first frame that it writes is `hello`, which tells that it is ready. It ends with an error
/// where a request is none, or is longer than `longest` bytes.
pub fn serve(
    input: &mut impl Read,
    output: &mut impl Write,
    hello: &str,
    limits: &Limits,
    longest: usize,
) -> io::Result<()> {
    wire::write(output, &[hello.as_bytes()])?;
    while let Some(frame) = wire::read(input, longest)? {
        let began = cpu_time();
        let outcome = run(&wire::request(&frame)?, limits);
        let took = cpu_time().saturating_sub(began);
        wire::answer(output, &outcome, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))?;
    }
    Ok(())
}
