//! The limiting half of the Python module; see lib.rs for the rest.

use crate::error::Error;
use crate::limits::{self, Clock, LAST, MAX_LIMITS, Outcome, Size, Table};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::path::PathBuf;

const LONGEST_BOOT: usize = 255;

#[pyclass(frozen, module = "crossdock._native")]
pub struct Limit(limits::Limit);

#[pymethods]
impl Limit {
    #[new]
    #[pyo3(signature = (name, subject, quota, window_s, burst=None, *, shared_slot=false))]
    fn new(
        name: &str,
        subject: &[u8],
        quota: u64,
        window_s: f64,
        burst: Option<u64>,
        shared_slot: bool,
    ) -> Result<Self, Error> {
        Ok(Self(limits::Limit::new(name, subject, quota, window_s, burst, shared_slot)?))
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn quota(&self) -> u64 {
        self.0.quota
    }

    #[getter]
    fn window_s(&self) -> f64 {
        self.0.window_s
    }

    #[getter]
    fn burst(&self) -> u64 {
        self.0.burst
    }

    fn __repr__(&self) -> String {
        format!("<Limit {}>", self.0.policy)
    }
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Taken {
    outcome: Outcome,
    /// What was taken, for its words: they are made when asked for.
    limits: Py<PyTuple>,
}

#[pymethods]
impl Taken {
    #[getter]
    fn admitted(&self) -> bool {
        self.outcome.admitted()
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let Some(tightest) = self.outcome.tightest() else { return Ok(PyList::empty(py)) };
        let limits = hold(self.limits.bind(py))?;
        let held = || limits.iter().flatten().map(|limit| &limit.get().0);
        let policy = Outcome::policy_field(held());
        let limit = held().nth(tightest).map(|limit| self.outcome.field(limit)).unwrap_or_default();
        let bytes = |text: &str| PyBytes::new(py, text.as_bytes());
        let fields = [(names::policy(py), bytes(&policy)), (names::limit(py), bytes(&limit))];
        if self.outcome.admitted() {
            return PyList::new(py, fields);
        }
        let retry_after = bytes(&self.outcome.retry_after_s().to_string());
        PyList::new(
            py,
            fields.into_iter().chain([(names::retry_after(py), retry_after)]).collect::<Vec<_>>(),
        )
    }

    #[getter]
    fn retry_after_s(&self) -> u64 {
        self.outcome.retry_after_s()
    }

    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let limits = hold(self.limits.bind(py))?;
        let refused = limits.iter().flatten().enumerate();
        let refused = refused.filter(|(place, _)| self.outcome.is_refused(*place));
        let names: Vec<&str> = refused.map(|(_, limit)| limit.get().0.name.as_str()).collect();
        PyTuple::new(py, names)
    }

    #[getter]
    fn remaining(&self) -> u64 {
        self.outcome.remaining()
    }

    #[getter]
    fn reset_s(&self) -> u64 {
        self.outcome.reset_s()
    }

    fn __repr__(&self) -> String {
        let said = if self.admitted() { "admitted" } else { "refused" };
        format!("<Taken {said} remaining={} reset_s={}>", self.remaining(), self.reset_s())
    }
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct LimitTable(Table);

#[pymethods]
impl LimitTable {
    #[new]
    #[pyo3(signature = (path, boot, slots=65536))]
    fn new(py: Python<'_>, path: Option<PathBuf>, boot: &[u8], slots: usize) -> PyResult<Self> {
        let size = Size::new(slots)?;
        if boot.len() > LONGEST_BOOT {
            return Err(Error::Limit("boot must be at most 255 bytes").into());
        }
        // Without the GIL: another process may be at it, and its disk slow.
        let table = py.detach(|| match path {
            Some(path) => Table::open(&path, boot, size, Clock::Machine),
            None => Table::private(size, Clock::Machine),
        })?;
        Ok(Self(table))
    }

    #[pyo3(signature = (limits, cost=1, now_ns=None))]
    fn take(&self, limits: Bound<'_, PyTuple>, cost: u64, now_ns: Option<u64>) -> PyResult<Taken> {
        if cost == 0 {
            return Err(Error::Limit("cost must be at least 1").into());
        }
        let clock = clock(now_ns)?;
        ask(limits, |limits| self.0.take(limits, cost, clock))
    }

    #[pyo3(signature = (limits, now_ns=None))]
    fn peek(&self, limits: Bound<'_, PyTuple>, now_ns: Option<u64>) -> PyResult<Taken> {
        let clock = clock(now_ns)?;
        ask(limits, |limits| self.0.peek(limits, clock))
    }

    #[pyo3(signature = (now_ns=None))]
    fn drain<'py>(&self, py: Python<'py>, now_ns: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let clock = clock(now_ns)?;
        Ok(PyBytes::new(py, &py.detach(|| self.0.drain(clock))))
    }

    #[pyo3(signature = (usage, now_ns=None))]
    fn apply(&self, py: Python<'_>, usage: &[u8], now_ns: Option<u64>) -> PyResult<()> {
        let clock = clock(now_ns)?;
        Ok(py.detach(|| self.0.apply(usage, clock))?)
    }

    #[getter]
    fn share(&self) -> u64 {
        self.0.share()
    }

    fn set_share(&self, nodes: u64) -> Result<(), Error> {
        self.0.set_share(nodes)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| self.0.stats(Clock::Machine));
        let said = PyDict::new(py);
        said.set_item("slots", stats.slots)?;
        said.set_item("used", stats.used)?;
        said.set_item("evicted", stats.evicted)?;
        said.set_item("collisions", stats.collisions)?;
        said.set_item("crowded", stats.crowded)?;
        Ok(said)
    }
}

type Held<'py> = [Option<Bound<'py, Limit>>; MAX_LIMITS];

/// Limits that stay while they are counted.
fn hold<'py>(limits: &Bound<'py, PyTuple>) -> PyResult<Held<'py>> {
    let mut held = Held::default();
    if limits.len() > MAX_LIMITS {
        return Err(Error::Limit("at most 8 limits are taken at once").into());
    }
    for (slot, limit) in held.iter_mut().zip(limits) {
        *slot = Some(limit.cast_into::<Limit>()?);
    }
    Ok(held)
}

fn ask(
    limits: Bound<'_, PyTuple>,
    question: impl FnOnce(&[&limits::Limit]) -> Outcome,
) -> PyResult<Taken> {
    let held = hold(&limits)?;
    let outcome = match &held {
        [None, ..] => question(&[]),
        [Some(one), None, ..] => question(&[&one.get().0]),
        [Some(one), Some(two), None, ..] => question(&[&one.get().0, &two.get().0]),
        _ => question(&held.iter().flatten().map(|limit| &limit.get().0).collect::<Vec<_>>()),
    };
    Ok(Taken { outcome, limits: limits.unbind() })
}

fn clock(now_ns: Option<u64>) -> Result<Clock, Error> {
    match now_ns {
        None => Ok(Clock::Machine),
        Some(now) if now < LAST => Ok(Clock::Fixed(now)),
        Some(_) => Err(Error::Limit("now_ns must be below 2^60")),
    }
}

/// Names of header fields, made once.
mod names {
    use pyo3::prelude::*;
    use pyo3::sync::PyOnceLock;
    use pyo3::types::PyBytes;

    static POLICY: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();
    static LIMIT: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();
    static RETRY_AFTER: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();

    type Name<'a> = &'a Py<PyBytes>;

    pub fn policy(py: Python<'_>) -> Name<'static> {
        POLICY.get_or_init(py, || PyBytes::new(py, b"ratelimit-policy").unbind())
    }

    pub fn limit(py: Python<'_>) -> Name<'static> {
        LIMIT.get_or_init(py, || PyBytes::new(py, b"ratelimit").unbind())
    }

    pub fn retry_after(py: Python<'_>) -> Name<'static> {
        RETRY_AFTER.get_or_init(py, || PyBytes::new(py, b"retry-after").unbind())
    }
}
