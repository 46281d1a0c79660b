//! Session descriptions (RFC 8866), as far as offers and answers need them.
