//! The schemas and indexed fields of the Python module; see lib.rs for the rest.

use crate::error::Error;
use crate::fields;
use crate::schema::{self, Mode, Registered, Unusable, Violation};
use crate::signatures_binding::LONG;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use std::sync::Arc;

/// Pairs of a pointer and a detail.
type Pairs = Vec<(String, String)>;

#[pyclass(frozen, module = "crossdock._native")]
pub struct Schema(Arc<schema::Schema>);

#[pymethods]
impl Schema {
    #[new]
    fn new(py: Python<'_>, text: &[u8]) -> Result<Self, Unusable> {
        // Compiling takes longer than any wait for the GIL.
        py.detach(|| schema::Schema::new(text)).map(|schema| Self(Arc::new(schema)))
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.size()
    }

    #[pyo3(signature = (body, *, quotes=true))]
    fn validate(&self, py: Python<'_>, body: &[u8], quotes: bool) -> Pairs {
        let found = validated(py, &self.0, body);
        if quotes { pairs(&found) } else { pairs(&schema::unquoted(&found)) }
    }

    #[expect(clippy::unused_self, reason = "a method to Python")]
    fn __repr__(&self) -> &'static str {
        "<Schema>"
    }
}

/// Holds a body to a schema, a long one without the GIL.
pub fn validated(py: Python<'_>, schema: &schema::Schema, body: &[u8]) -> Vec<Violation> {
    if body.len() > LONG { py.detach(|| schema.validate(body)) } else { schema.validate(body) }
}

fn pairs(violations: &[Violation]) -> Pairs {
    violations.iter().map(|one| (one.pointer.clone(), one.detail.clone())).collect()
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Schemas(pub schema::Schemas);

#[pymethods]
impl Schemas {
    #[new]
    fn new(items: &Bound<'_, PyList>) -> PyResult<Self> {
        let mut all = schema::Schemas::default();
        for item in items {
            let item = item.cast_into::<PyTuple>()?;
            let (name, mode, number, schema): (String, String, u32, Bound<'_, Schema>) =
                item.extract()?;
            let mode = Mode::parse(&mode)?;
            let schema = Arc::clone(&schema.get().0);
            all.add(&name, Registered { mode, number, schema })?;
        }
        Ok(Self(all))
    }

    fn get(&self, event_type: &str) -> Option<(&'static str, u32, Schema)> {
        let found = self.0.get(event_type)?;
        Some((found.mode.name(), found.number, Schema(Arc::clone(&found.schema))))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Rejected {
    pub event_type: String,
    pub number: u32,
    pub violations: Vec<Violation>,
}

#[pymethods]
impl Rejected {
    #[getter]
    fn event_type(&self) -> &str {
        &self.event_type
    }

    #[getter]
    fn schema_version(&self) -> u32 {
        self.number
    }

    #[getter]
    fn violations(&self) -> Pairs {
        pairs(&self.violations)
    }
}

#[pyclass(frozen, module = "crossdock._native")]
pub struct Fields(pub fields::Fields);

#[pymethods]
impl Fields {
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 extracts into owned values")]
    fn new(pointers: Vec<String>) -> Result<Self, Error> {
        fields::Fields::new(&pointers).map(Self)
    }

    fn keys<'py>(&self, py: Python<'py>, body: &[u8]) -> Vec<Bound<'py, PyBytes>> {
        self.0.keys(body).iter().map(|key| PyBytes::new(py, key)).collect()
    }
}

#[pyfunction]
pub fn field_key<'py>(py: Python<'py>, pointer: &str, value: &str) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &fields::field_key(pointer, value.as_bytes()))
}
