//! Fresh secrets, in the form each scheme uses.

use super::scheme::Scheme;
use crate::error::Error;
use crate::text::{base64, hex};
use ed25519_dalek::SigningKey;

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

/// A secret of 256 bits.
pub fn generate_secret(scheme: Scheme) -> Result<String, Error> {
    let bytes = random()?;
    Ok(match scheme {
        Scheme::Open => return Err(Error::NoSecret),
        Scheme::Standard => format!("whsec_{}", base64(&bytes)),
        Scheme::Stripe => format!("whsec_{}", hex(&bytes)),
        Scheme::Basic => format!("crossdock:{}", hex(&bytes)),
        _ => hex(&bytes),
    })
}

/// A key pair for `standard` v1a: the private `whsk_` and the public `whpk_`.
pub fn generate_key_pair() -> Result<(String, String), Error> {
    let key = SigningKey::from_bytes(&random()?);
    // Seed and public half together, as the Standard Webhooks libraries keep it.
    let private = base64(&key.to_keypair_bytes());
    let public = base64(key.verifying_key().as_bytes());
    Ok((format!("whsk_{private}"), format!("whpk_{public}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signatures::key::StandardKey;

    #[test]
    fn secrets_have_their_schemes_form() -> Result<(), Error> {
        assert!(matches!(
            StandardKey::parse(&generate_secret(Scheme::Standard)?)?,
            StandardKey::Shared(_)
        ));
        assert_eq!(generate_secret(Scheme::Github)?.len(), 64);
        assert_ne!(generate_secret(Scheme::Github)?, generate_secret(Scheme::Github)?);
        assert_eq!(generate_secret(Scheme::Open), Err(Error::NoSecret));
        let (private, public) = generate_key_pair()?;
        assert!(matches!(StandardKey::parse(&private)?, StandardKey::Private(_)));
        assert!(matches!(StandardKey::parse(&public)?, StandardKey::Public(_)));
        Ok(())
    }
}
