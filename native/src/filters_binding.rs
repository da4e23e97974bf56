//! The filters and subscriptions of the Python module; see lib.rs for the rest.

use crate::filters::{self, Event, Subscription};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyList};

/// Places of subscriptions with their lines, and places with what went wrong.
type Found = (Vec<(u32, Option<i64>)>, Vec<(u32, String)>);
/// Id, sources, patterns of types, filter and order of a subscription.
type Given = ([u8; 16], Vec<[u8; 16]>, Vec<String>, Option<String>, Option<String>);

/// What is wrong with a filter, with line and column; 0 where it is about the whole of it.
#[pyfunction]
pub fn check_filter(py: Python<'_>, text: &str) -> Option<(u32, u32, String)> {
    // Compiling takes longer than most waits for the GIL.
    let unfit = py.detach(|| filters::Filter::new(text)).err()?;
    Some((unfit.line, unfit.column, unfit.reason))
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Matcher(filters::Matcher);

#[pymethods]
impl Matcher {
    #[new]
    fn new(py: Python<'_>, subscriptions: Vec<Given>) -> Self {
        let subscriptions: Vec<_> = subscriptions
            .into_iter()
            .map(|(id, source_ids, event_types, filter, order_by)| Subscription {
                id,
                source_ids,
                event_types,
                filter,
                order_by,
            })
            .collect();
        // A thousand filters take tens of milliseconds.
        Self(py.detach(|| filters::Matcher::new(&subscriptions)))
    }

    #[getter]
    fn looks_into_bodies(&self) -> bool {
        self.0.looks_into_bodies()
    }

    #[getter]
    fn judges(&self) -> bool {
        self.0.judges()
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.size()
    }

    #[pyo3(name = "match")]
    #[expect(clippy::too_many_arguments, reason = "each is one thing that is known of an event")]
    fn matching(
        &self,
        py: Python<'_>,
        event_id: [u8; 16],
        source_id: [u8; 16],
        event_type: &str,
        content_type: &str,
        provider_id: Option<&str>,
        headers: &Bound<'_, PyList>,
        body: Option<&Bound<'_, PyBytes>>,
    ) -> PyResult<Found> {
        let headers: Vec<(PyBackedStr, PyBackedStr)> = headers.extract()?;
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let event = Event {
            id: event_id,
            source_id,
            event_type,
            content_type,
            provider_id,
            headers: &headers,
            body: body.map(PyBytesMethods::as_bytes),
        };
        // Filters may take milliseconds; without any it is quicker than giving up the GIL.
        let found = if self.0.judges() {
            py.detach(|| self.0.matching(event))
        } else {
            self.0.matching(event)
        };
        Ok((found.wanted, found.errors))
    }

    #[expect(clippy::unused_self, reason = "a method to Python")]
    fn __repr__(&self) -> &'static str {
        "<Matcher>"
    }
}
