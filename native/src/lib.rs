//! Crossdock's hot path, callable from Python.
//!
//! This file and its bindings parse arguments, call, and map results: everything else is in
//! modules that know no Python. `crossdock/_native.pyi` documents what is exported here.

pub mod error;
pub mod fields;
pub mod filters;
#[cfg(feature = "extension-module")]
mod filters_binding;
pub mod frames;
#[cfg(feature = "extension-module")]
mod frames_binding;
pub mod ids;
pub mod json;
pub mod limits;
#[cfg(feature = "extension-module")]
mod limits_binding;
pub mod schema;
#[cfg(feature = "extension-module")]
mod schema_binding;
pub mod scripts;
#[cfg(feature = "extension-module")]
mod scripts_binding;
pub mod signatures;
#[cfg(feature = "extension-module")]
mod signatures_binding;
pub mod text;

#[cfg(feature = "extension-module")]
#[pyo3::pymodule]
mod _native {
    use crate::error::Error;
    use crate::ids;
    use crate::schema;
    use crate::signatures::{self, Scheme};
    use pyo3::exceptions::{PyOSError, PyValueError};
    use pyo3::prelude::*;
    use pyo3::types::{PyBytes, PyTuple};
    use sha2::Digest;

    #[pymodule_export]
    use self::exception::{RecipeError, SchemaError};
    #[pymodule_export]
    use crate::filters_binding::{Matcher, check_filter};
    #[pymodule_export]
    use crate::frames_binding::{
        Message, Replies, batch_frames, content_length, plain_frames, take_webhook,
    };
    #[pymodule_export]
    use crate::limits_binding::{Limit, LimitTable, Taken};
    #[pymodule_export]
    use crate::schema_binding::{Fields, Rejected, Schema, Schemas, field_key};
    #[pymodule_export]
    use crate::scripts_binding::{check_script, confine_process, serve_scripts};
    #[pymodule_export]
    pub(crate) use crate::signatures_binding::{Signer, Source, Verdict};

    mod exception {
        pyo3::create_exception!(crossdock._native, RecipeError, pyo3::exceptions::PyValueError);
        pyo3::create_exception!(crossdock._native, SchemaError, pyo3::exceptions::PyValueError);
    }

    impl From<Error> for PyErr {
        fn from(error: Error) -> Self {
            let text = error.to_string();
            match error {
                Error::Recipe(_) => RecipeError::new_err(text),
                Error::Randomness => PyOSError::new_err(text),
                _ => PyValueError::new_err(text),
            }
        }
    }

    impl From<schema::Unusable> for PyErr {
        fn from(why: schema::Unusable) -> Self {
            SchemaError::new_err((why.pointer, why.reason))
        }
    }

    #[pyfunction]
    fn generate_secret(scheme: &str) -> Result<String, Error> {
        signatures::generate_secret(Scheme::parse(scheme)?)
    }

    #[pyfunction]
    fn generate_key_pair() -> Result<(String, String), Error> {
        signatures::generate_key_pair()
    }

    #[pyfunction]
    fn uuid7(py: Python<'_>, unix_ms: u64) -> Result<Bound<'_, PyBytes>, Error> {
        Ok(PyBytes::new(py, &ids::uuid7(unix_ms)?))
    }

    #[pyfunction]
    fn typeid(prefix: &str, uuid: &[u8]) -> Result<String, Error> {
        ids::typeid(prefix, uuid)
    }

    #[pyfunction]
    fn typeid_parse<'py>(
        py: Python<'py>,
        prefix: &str,
        text: &str,
    ) -> Result<Bound<'py, PyBytes>, Error> {
        Ok(PyBytes::new(py, &ids::typeid_parse(prefix, text)?))
    }

    #[pyfunction]
    fn sha256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &sha2::Sha256::digest(data))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let names = Scheme::ALL.iter().map(|scheme| scheme.name());
        module.add("SCHEMES", PyTuple::new(module.py(), names)?)
    }
}
