//! Playing out what arrives unevenly.
