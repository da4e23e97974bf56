//! Scripts of the Python module; see lib.rs for the rest.

use crate::scripts::{self, Limits};
use pyo3::prelude::*;
use std::io::{stdin, stdout};
use std::time::Duration;

#[pyfunction]
pub fn check_script(py: Python<'_>, source: &str) -> Option<(String, u32, u32)> {
    // Parsing what somebody wrote takes as long as he likes, up to a second.
    let found = py.detach(|| scripts::check(source))?;
    Some((found.message, found.line, found.column))
}

#[pyfunction]
pub fn confine_process() -> Option<String> {
    scripts::confine::confine().err()
}

#[pyfunction]
#[pyo3(signature = (hello, *, cpu_ms, memory, output, longest))]
pub fn serve_scripts(
    hello: &str,
    cpu_ms: u64,
    memory: usize,
    output: usize,
    longest: usize,
) -> PyResult<()> {
    let limits = Limits { cpu: Duration::from_millis(cpu_ms), memory, output };
    // The GIL is kept: the process has one thread, and does nothing else.
    Ok(scripts::serve(&mut stdin().lock(), &mut stdout().lock(), hello, &limits, longest)?)
}
