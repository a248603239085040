//! Nobody is asked who they are: for a service that only trusted people can reach.

use async_trait::async_trait;
use http::HeaderMap;
use image_service::{Caller, Secret};

use super::{Auth, Refusal, TOKEN_HEADER};

/// Takes everyone for an administrator. A token that comes along is not checked, only kept for the backends that
/// are marked to receive it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

#[async_trait]
impl Auth for Nobody {
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok()).map(Secret::new);
        Ok(Caller { token, ..Caller::administrator() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_is_an_administrator() {
        let caller = Nobody.caller(&HeaderMap::new()).await.unwrap();
        assert!(caller.is_admin());
        assert_eq!(caller.project, None);
        assert_eq!(caller.token, None);
    }

    #[tokio::test]
    async fn a_token_is_kept_for_the_backends() {
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN_HEADER, "abc".parse().unwrap());
        let caller = Nobody.caller(&headers).await.unwrap();
        assert_eq!(caller.token.map(|token| token.expose().to_owned()).as_deref(), Some("abc"));
    }
}
