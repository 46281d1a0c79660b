//! The trait of an application, and its erasure.

use std::{future::Future, pin::Pin};

use crate::{CallError, IncomingCall};

/// A boxed future, as the erased traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Serves calls. Any `async fn(IncomingCall) -> Result<(), CallError>` is one.
///
/// One instance serves all calls of its name, each in its own task. A panic ends that call and nothing else.
pub trait Application: Send + Sync + 'static {
    /// Serves one call, from before it is answered to its end. Returning hangs up (or, before
    /// [`IncomingCall::answer`], refuses with the status of the error, 480 for `Ok`).
    fn serve(&self, call: IncomingCall) -> impl Future<Output = Result<(), CallError>> + Send;
}

impl<F, R> Application for F
where
    F: Fn(IncomingCall) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), CallError>> + Send,
{
    fn serve(&self, call: IncomingCall) -> impl Future<Output = Result<(), CallError>> + Send {
        self(call)
    }
}

/// [`Application`] as an object; implemented for every application, erased once at registration.
pub trait DynApplication: Send + Sync + 'static {
    /// See [`Application::serve`].
    fn serve_boxed<'a>(&'a self, call: IncomingCall) -> BoxFuture<'a, Result<(), CallError>>;
}

impl<A: Application> DynApplication for A {
    fn serve_boxed<'a>(&'a self, call: IncomingCall) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(self.serve(call))
    }
}
