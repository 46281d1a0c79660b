//! The one interpreter of this process: begun once, and the right one.

use std::{path::Path, sync::OnceLock};

use pyo3::{ffi::c_str, prelude::*, types::PyModule};
use sems_app::LoadError;

use crate::{lane::Shared, value, wire};

/// The version of the interpreter this was built against, as `3.11.2`.
const BUILT_FOR: &str = env!("IVR_PYTHON_VERSION");

/// What Rust calls in the embedded Python code.
pub(crate) struct Engine {
    module: Py<PyModule>,
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// Begins the interpreter, if it has not begun, and lets scripts import their neighbours in `folder`.
///
/// # Errors
/// [`LoadError::Missing`] when the loader found another libpython than the one this was built against, or when
/// the embedded code does not run in it.
pub(crate) fn start(folder: &Path) -> Result<(), LoadError> {
    Python::initialize();
    Python::attach(|py| {
        agree(BUILT_FOR, Python::version_str()).map_err(LoadError::Missing)?;
        let broken = |error: PyErr| LoadError::Missing(format!("the Python interpreter: {error}"));
        if ENGINE.get().is_none() {
            let module = embed(py).map_err(broken)?;
            // Of two threads that begin at once, the second one's module is the same or as good.
            let _ = ENGINE.set(Engine { module });
        }
        call(py, "search", (folder,)).map(|_| ()).map_err(broken)
    })
}

/// Calls a function of the embedded engine.
pub(crate) fn call<'py>(
    py: Python<'py>,
    function: &str,
    args: impl pyo3::call::PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let engine = ENGINE
        .get()
        .ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("the interpreter has not begun"))?;
    engine.module.bind(py).getattr(function)?.call1(args)
}

fn embed(py: Python<'_>) -> PyResult<Py<PyModule>> {
    let native = PyModule::new(py, "_ivr")?;
    native.add_class::<wire::Wire>()?;
    native.add_class::<value::Tone>()?;
    native.add_class::<value::Silence>()?;
    native.add_class::<value::Opened>()?;
    native.add_class::<Shared>()?;
    native.add_function(wrap_pyfunction!(log, &native)?)?;
    py.import("sys")?.getattr("modules")?.set_item("_ivr", native)?;
    PyModule::from_code(py, c_str!(include_str!("python/ivr.py")), c"<sems>/ivr.py", c"ivr")?;
    let engine = PyModule::from_code(
        py,
        c_str!(include_str!("python/engine.py")),
        c"<sems>/engine.py",
        c"_ivr_engine",
    )?;
    Ok(engine.unbind())
}

/// What a script prints or logs goes to the server's log: standard output belongs to the server.
#[pyfunction]
fn log(level: u32, text: &str) {
    match level {
        0..=19 => tracing::debug!(target: "ivr::script", "{text}"),
        20..=29 => tracing::info!(target: "ivr::script", "{text}"),
        30..=39 => tracing::warn!(target: "ivr::script", "{text}"),
        _ => tracing::error!(target: "ivr::script", "{text}"),
    }
}

/// Whether the running interpreter (`Py_GetVersion`: a version, then its build) is the one built against.
fn agree(built: &str, running: &str) -> Result<(), String> {
    let found = running.split_whitespace().next().unwrap_or_default();
    if found == built {
        return Ok(());
    }
    Err(format!(
        "built against Python {built}, but the libpython that was loaded is {found}: install that version, \
         correct LD_LIBRARY_PATH, or build again with PYO3_PYTHON naming the interpreter to use"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_python_is_refused_in_clear_words() {
        assert_eq!(agree("3.11.2", "3.11.2 (main, Apr 28 2025) [GCC 12.2.0]"), Ok(()));
        let text = agree("3.11.2", "3.11.7 (main) [GCC]").expect_err("another one");
        assert!(text.contains("3.11.2") && text.contains("3.11.7"), "{text}");
    }

    #[test]
    fn the_tests_run_in_the_interpreter_they_were_built_for() {
        Python::initialize();
        Python::attach(|_| assert_eq!(agree(BUILT_FOR, Python::version_str()), Ok(())));
    }
}
