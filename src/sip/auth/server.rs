//! The side that challenges.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Algorithm, Challenge, ClientNonce, Credentials, hex, response};
use crate::message::Method;
use crate::text::Text;
use crate::uri::Uri;

/// Makes challenges whose nonces it can verify without having kept them: a nonce is its time and number, signed.
#[derive(Debug)]
pub struct Challenger {
    realm: Text,
    key: [u8; 32],
    epoch: Instant,
    lifetime: Duration,
    made: u64,
}

/// What credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client knows the password, and the nonce is ours and young.
    Accepted,
    /// The client knows the password, but the nonce is old or not ours: challenge again with `stale`.
    Stale,
    /// Wrong password, realm, URI or algorithm.
    Refused,
}

/// Bytes of a nonce before its signature: milliseconds since the epoch, and a number.
const NONCE_HEAD: usize = 16;

impl Challenger {
    /// A challenger of one realm. `key` is random and secret; nonces are good for `lifetime`, and never across two
    /// challengers.
    pub const fn new(now: Instant, realm: Text, key: [u8; 32], lifetime: Duration) -> Self {
        Self { realm, key, epoch: now, lifetime, made: 0 }
    }

    /// The realm.
    pub const fn realm(&self) -> &Text {
        &self.realm
    }

    /// Two challenges with one fresh nonce, SHA-256 before MD5 (RFC 8760 §2.3).
    pub fn challenges(&mut self, now: Instant, stale: bool) -> [Challenge; 2] {
        let nonce = self.nonce(now);
        [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| Challenge {
            realm: self.realm.clone(),
            nonce: nonce.clone(),
            opaque: None,
            algorithm: Some(algorithm),
            stale,
            qop_auth: true,
        })
    }

    fn nonce(&mut self, now: Instant) -> Text {
        self.made = self.made.wrapping_add(1);
        let mut bytes = [0; NONCE_HEAD];
        bytes[..8].copy_from_slice(&self.millis(now).to_be_bytes());
        bytes[8..].copy_from_slice(&self.made.to_be_bytes());
        let signature = self.sign(&bytes);
        Text::from(hex(&bytes) + &signature)
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// Half of an HMAC-SHA-256 (RFC 2104), in hexadecimal.
    fn sign(&self, message: &[u8]) -> String {
        let pad = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(self.key).for_each(|(b, k)| *b ^= k);
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
        let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        hex(outer.get(..16).unwrap_or_default())
    }

    /// Whether the nonce is ours and younger than its lifetime.
    pub fn is_fresh(&self, now: Instant, nonce: &str) -> bool {
        let Some((head, signature)) = nonce.split_at_checked(2 * NONCE_HEAD) else { return false };
        let mut bytes = [0; NONCE_HEAD];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            match head.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                Some(value) => *byte = value,
                None => return false,
            }
        }
        if !bool::from(self.sign(&bytes).as_bytes().ct_eq(signature.as_bytes())) {
            return false;
        }
        let made = bytes.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b));
        self.millis(now).saturating_sub(made) <= u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX)
    }

    /// Judges credentials for a request. `ha1` is [`super::ha1`] of the account for `credentials.algorithm`. Replays
    /// within the lifetime are for the caller to find, with [`super::NonceCounts`].
    pub fn verify(
        &self,
        now: Instant,
        method: &Method,
        uri: &Uri,
        credentials: &Credentials,
        ha1: &str,
    ) -> Verdict {
        let Some(algorithm) = credentials.algorithm else { return Verdict::Refused };
        // Every challenge here offers qop, so credentials without it would only make replays possible.
        let Some(qop) = &credentials.qop_auth else { return Verdict::Refused };
        if credentials.realm != self.realm || !names_request(&credentials.uri, uri) {
            return Verdict::Refused;
        }
        let qop = Some(ClientNonce::as_qop(qop));
        let expected = response(algorithm, ha1, &credentials.nonce, qop, method.as_str(), &credentials.uri);
        let given = credentials.response.to_ascii_lowercase();
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Verdict::Refused;
        }
        if self.is_fresh(now, &credentials.nonce) { Verdict::Accepted } else { Verdict::Stale }
    }
}

/// Whether the hashed URI names what the request line names.
fn names_request(hashed: &Text, request: &Uri) -> bool {
    Uri::parse(hashed).is_ok_and(|uri| uri.is_equivalent(request))
}
