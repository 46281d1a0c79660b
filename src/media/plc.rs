//! Concealing what did not arrive.
