//! A scripted core for plugin tests.
