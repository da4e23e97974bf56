//! The verifying half of the Python module; see lib.rs for the rest.

use crate::error::Error;
use crate::signatures::{self, Accepted, Answer, Headers, Recipe, Refused, Request, SLOTS};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

/// Hashing 16 KiB takes about 10 µs. Giving up the GIL and getting it back costs a good part of
/// that, and under load a wait for other threads besides; so only longer bodies do.
pub const LONG: usize = 16 * 1024;

#[pyclass(frozen, module = "crossdock._native")]
pub struct Source(pub signatures::Source);

#[pymethods]
impl Source {
    #[new]
    fn new(recipe: &[u8]) -> Result<Self, Error> {
        Ok(Self(signatures::Source::new(&Recipe::parse(recipe)?)?))
    }

    #[getter]
    fn scheme(&self) -> &'static str {
        self.0.scheme()
    }

    fn verify<'py>(
        &self,
        method: &Bound<'py, PyString>,
        url: &Bound<'py, PyString>,
        headers: &Bound<'py, PyAny>,
        body: &[u8],
        now: f64,
    ) -> PyResult<Verdict> {
        let _ = method; // No scheme signs it.
        let url_text = url.to_string_lossy();
        let py = url.py();
        // Holds the values while they are borrowed. A header that fills a slot already filled
        // is only noted, so there are never more than slots.
        let mut held: [Option<(u8, Bound<'py, PyBytes>)>; SLOTS] = Default::default();
        let (mut count, mut seen, mut repeated) = (0, 0, 0);
        let mut take = |pair: Bound<'py, PyAny>| -> PyResult<()> {
            let pair = pair.cast::<PyTuple>()?;
            let name = pair.get_borrowed_item(0)?;
            let slots = self.0.slots(name.cast::<PyBytes>()?.as_bytes());
            repeated |= slots & seen;
            if slots & !seen != 0 {
                held[count] = Some((slots & !seen, pair.get_item(1)?.cast_into()?));
                count += 1;
            }
            seen |= slots;
            Ok(())
        };
        match headers.cast::<PyList>() {
            Ok(list) => list.iter().try_for_each(&mut take)?,
            Err(_) => headers.try_iter()?.try_for_each(|pair| take(pair?))?,
        }
        let mut picked = Headers::new(repeated);
        for (slots, value) in held.iter().flatten() {
            picked.add(*slots, value.as_bytes());
        }
        let request = Request { url: &url_text, headers: &picked, body, now };
        Ok(Verdict(if body.len() > LONG {
            py.detach(|| self.0.verify(&request))
        } else {
            self.0.verify(&request)
        }))
    }

    fn handshake<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        query: &[u8],
        headers: &Bound<'py, PyAny>,
        body: &[u8],
        now: f64,
    ) -> Option<(&'static str, Bound<'py, PyBytes>)> {
        let _ = (headers, now); // No provider asks by header, or by the hour.
        to_python(py, self.0.handshake(method, query, body).as_ref())
    }

    fn __repr__(&self) -> String {
        format!("<Source scheme={}>", self.0.scheme())
    }
}

fn to_python<'py>(
    py: Python<'py>,
    answer: Option<&Answer>,
) -> Option<(&'static str, Bound<'py, PyBytes>)> {
    answer.map(|(content_type, text)| (*content_type, PyBytes::new(py, text)))
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Verdict(pub(crate) Result<Accepted, Refused>);

#[pymethods]
impl Verdict {
    #[getter]
    fn refusal(&self) -> Option<&'static str> {
        self.0.as_ref().err().map(|refused| refused.refusal.name())
    }

    #[getter]
    fn detail(&self) -> Option<&str> {
        self.0.as_ref().err().map(|refused| &*refused.detail)
    }

    #[getter]
    fn dedupe<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let hash = self.0.as_ref().ok()?.dedupe?;
        Some(PyBytes::new(py, &hash))
    }

    #[getter]
    fn event_type(&self) -> &str {
        self.0.as_ref().map_or("", |accepted| &accepted.event_type)
    }

    #[getter]
    fn provider_id(&self) -> Option<&str> {
        self.0.as_ref().ok()?.provider_id.as_deref()
    }

    #[getter]
    fn handshake<'py>(&self, py: Python<'py>) -> Option<(&'static str, Bound<'py, PyBytes>)> {
        to_python(py, self.0.as_ref().ok()?.handshake.as_ref())
    }

    fn __repr__(&self) -> String {
        match &self.0 {
            Ok(accepted) => format!("<Verdict accepted event_type={:?}>", accepted.event_type),
            Err(refused) => format!("<Verdict {}: {}>", refused.refusal.name(), refused.detail),
        }
    }
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Signer(signatures::Signer);

#[pymethods]
impl Signer {
    #[new]
    fn new(recipe: &[u8]) -> Result<Self, Error> {
        Ok(Self(signatures::Signer::new(&Recipe::parse(recipe)?)?))
    }

    #[pyo3(signature = (method, url, body, now, message_id=None))]
    fn sign(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        now: f64,
        message_id: Option<&str>,
    ) -> Result<Vec<(String, String)>, Error> {
        let _ = method; // No scheme signs it.
        self.0.sign(url, body, now, message_id)
    }
}
