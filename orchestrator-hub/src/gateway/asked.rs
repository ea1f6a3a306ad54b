use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::fault::{Fault, FaultKind};
use crate::gateway::{Caller, Site};

/// A request whose body has not been read yet.
pub(crate) struct Asked {
    caller: Caller,
    body: Body,
}

impl FromRequest<Site> for Asked {
    type Rejection = Infallible;

    async fn from_request(mut request: Request, _site: &Site) -> Result<Self, Infallible> {
        let caller = request.extensions_mut().remove::<Caller>().expect("the front knows who asks");
        Ok(Self { caller, body: request.into_body() })
    }
}

impl Asked {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Where it is longer than allowed, which a length that is told says before anything is read; where it takes too long; where it
    /// breaks off.
    pub(crate) async fn read(self, site: &Site) -> Result<(Caller, Bytes), Fault> {
        let limits = site.limits();
        let most = limits.body.get();
        let told = http_body::Body::size_hint(&self.body).lower();
        if told > most as u64 {
            return Err(too_large(most));
        }
        let reading = Limited::new(self.body, most).collect();
        let patience = limits.body_time.into();
        let Ok(read) = tokio::time::timeout(patience, reading).await else {
            return Err(Fault::new(FaultKind::BodyTimeout, "the body took too long to come"));
        };
        match read {
            Ok(body) => Ok((self.caller, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
            Err(_) => Err(Fault::new(FaultKind::Invalid, "the body broke off")),
        }
    }
}

fn too_large(most: usize) -> Fault {
    Fault::new(FaultKind::BodyTooLarge, format!("the body is longer than {most} bytes"))
}
