use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Keeps apart what the prefix cache holds for one tenant and for another.
///
/// vLLM finds a prompt's prefix in its cache only under the salt that it was put there with. Without salts a tenant can tell by
/// the time to the first token whether another one has asked the same. A salt must not be guessed, so it is a hash of the
/// tenant's name under a secret; the same secret gives the same salts in every process.
pub(crate) struct CacheSalt {
    key: [u8; 32],
}

impl CacheSalt {
    pub(crate) fn new(secret: &SecretString) -> Self {
        Self { key: Sha256::digest(secret.expose_secret()).into() }
    }

    /// Returns the salt of a tenant, 64 hexadecimal digits. Requests without a tenant share one of their own.
    pub(crate) fn of(&self, tenant: Option<&str>) -> String {
        let mut hash = Sha256::new();
        // The key has a fixed length, so that no other key and tenant make the same bytes.
        hash.update(self.key);
        if let Some(tenant) = tenant {
            hash.update(b"tenant:");
            hash.update(tenant);
        }
        // Hashed again: from the salt of one tenant none can be reckoned whose name begins alike.
        let salt = Sha256::digest(hash.finalize());
        salt.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for CacheSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSalt").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn salt(secret: &str, tenant: Option<&str>) -> String {
        CacheSalt::new(&SecretString::from(secret)).of(tenant)
    }

    #[test]
    fn every_tenant_has_a_salt_of_its_own_under_every_secret() {
        let tenants = [None, Some(""), Some("a"), Some("b"), Some("tenant:")];
        let salts = ["one secret", "another"].map(|secret| tenants.map(|tenant| salt(secret, tenant)));
        let all: BTreeSet<_> = salts.as_flattened().iter().collect();
        assert_eq!(all.len(), 10);
        assert!(all.iter().all(|salt| salt.len() == 64 && salt.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }

    #[test]
    fn a_salt_is_the_same_in_every_process() {
        let known = "42039dbaada443921328316ba8b66ca2851c31481bf6c540bc45d06e019064e4";
        assert_eq!(salt("one secret", Some("a")), known);
    }

    #[test]
    fn the_secret_does_not_show() {
        let salts = CacheSalt::new(&SecretString::from("one secret"));
        assert_eq!(format!("{salts:?}"), "CacheSalt { .. }");
    }
}
