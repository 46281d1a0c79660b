//! A call in a script's hand: facts about it, and the way of its verbs to the task that attends it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyDict, PyTuple},
};
use sems_app::{CallError, CallInfo, Identity};
use tokio::sync::{mpsc, mpsc::error::TrySendError, oneshot};

use crate::{
    lane::Lane,
    line::LegParts,
    request::{Ask, Request, Waiter},
    value::{outcome, toml_table, uri_parts},
};

/// How long a script that goes on after its call waits to be told again that it is over: one that ignores it
/// in an endless loop shall not keep a core busy. `ivr.py` has the same pause for coroutines.
const OVER: Duration = Duration::from_secs(1);

/// A call, or a leg of one.
#[pyclass(frozen, module = "_ivr")]
pub(crate) struct Wire {
    parts: LegParts,
    /// Where the results of its coroutine's verbs go; a thread waits for them itself.
    lane: Option<Arc<Lane>>,
}

/// A verb under way. Dropping it stops the verb.
#[pyclass(frozen, module = "_ivr")]
struct Pending(Mutex<Option<oneshot::Sender<()>>>);

#[pymethods]
impl Pending {
    fn drop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Wire {
    pub(crate) fn new(parts: LegParts, lane: Option<Arc<Lane>>) -> Self {
        Self { parts, lane }
    }

    pub(crate) fn requests(&self) -> mpsc::Sender<Request> {
        self.parts.requests.clone()
    }

    fn info(&self) -> &CallInfo {
        &self.parts.info
    }

    /// The domain of bare user names. The request URI may hold an address of this machine instead of it.
    fn domain(&self) -> &str {
        self.info().mailbox_uri().host()
    }
}

#[pymethods]
impl Wire {
    /// Begins a verb whose result comes over the lane under `ticket`; None when the call is no longer attended.
    fn begin(&self, ticket: u64, verb: &str, args: &Bound<'_, PyTuple>) -> PyResult<Option<Pending>> {
        let lane =
            self.lane.clone().ok_or_else(|| PyRuntimeError::new_err("this call belongs to a thread"))?;
        let ask = Ask::read(verb, args, self.domain())?;
        let (pending, gone) = oneshot::channel();
        let request = Request::Verb(ask, Waiter::coroutine(lane, ticket, gone));
        match self.parts.requests.try_send(request) {
            Ok(()) => Ok(Some(Pending(Mutex::new(Some(pending))))),
            Err(TrySendError::Closed(_)) => Ok(None),
            Err(TrySendError::Full(_)) => {
                Err(PyRuntimeError::new_err("too many verbs of one call side by side"))
            }
        }
    }

    /// Does a verb and waits for its result, the interpreter released.
    fn wait<'py>(
        &self,
        py: Python<'py>,
        verb: &str,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<(bool, Bound<'py, PyAny>)> {
        if self.lane.is_some() {
            return Err(PyRuntimeError::new_err("this call belongs to a coroutine: await its verbs"));
        }
        let ask = Ask::read(verb, args, self.domain())?;
        let result = py.detach(|| {
            let (reply, answer) = oneshot::channel();
            let request = Request::Verb(ask, Waiter::thread(reply));
            if self.parts.requests.blocking_send(request).is_err() {
                std::thread::sleep(OVER);
                return Err(CallError::HungUp);
            }
            answer.blocking_recv().unwrap_or(Err(CallError::HungUp))
        });
        outcome(py, result, |parts| Self::new(parts, None))
    }

    #[getter]
    fn id(&self) -> &str {
        &self.info().id.0
    }

    #[getter]
    fn caller<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        uri_parts(py, self.info().caller())
    }

    #[getter]
    fn caller_name(&self) -> Option<&str> {
        self.info().from_name.as_deref()
    }

    #[getter]
    fn callee<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        uri_parts(py, self.info().mailbox_uri())
    }

    #[getter]
    fn request_uri<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        uri_parts(py, &self.info().request_uri)
    }

    #[getter]
    fn identity(&self) -> &'static str {
        match self.info().identity {
            Identity::Account(_) => "account",
            Identity::Trusted => "trusted",
            Identity::Stranger => "stranger",
        }
    }

    #[getter]
    fn account<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.info().identity.account().map(|uri| uri_parts(py, uri)).transpose()
    }

    #[getter]
    fn unavailable(&self) -> Option<&'static str> {
        self.info().unavailable.map(sems_app::Unavailable::as_str)
    }

    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        toml_table(py, &self.info().params.0)
    }

    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        self.info().headers.clone()
    }
}
