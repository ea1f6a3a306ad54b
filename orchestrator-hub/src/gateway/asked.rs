use std::convert::Infallible;
use std::ops::Deref;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

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
    /// Where it is longer than allowed, which a length that is told says before anything is read; where it takes too long;
    /// where it breaks off; where all bodies together are longer than allowed; where the service ends meanwhile.
    pub(crate) async fn read(self, site: &Site) -> Result<(Caller, Held), Fault> {
        let limits = site.limits();
        let told = http_body::Body::size_hint(&self.body).lower();
        if told > limits.body.get() as u64 {
            return Err(too_large(limits.body.get()));
        }
        let reading = timeout(limits.body_time.into(), collect(self.body, site));
        match site.until_over(reading).await {
            Some(Ok(read)) => Ok((self.caller, read?)),
            Some(Err(_)) => Err(Fault::new(FaultKind::BodyTimeout, "the body took too long to come")),
            None => Err(Fault::new(FaultKind::Unavailable, "the service ends, and the body had not come")),
        }
    }
}

/// The bytes of a body, which count among those of all bodies until they are dropped.
pub(crate) struct Held {
    bytes: BytesMut,
    room: Option<OwnedSemaphorePermit>,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Held {
    /// Adds bytes, as far as there is room for them.
    fn push(&mut self, bytes: &Bytes, site: &Site) -> Result<(), Fault> {
        let full = || Fault::new(FaultKind::Overloaded, "too many requests are being sent at once");
        let room = site.room_for(bytes.len()).ok_or_else(full)?;
        match &mut self.room {
            Some(taken) => taken.merge(room),
            None => self.room = Some(room),
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

async fn collect(body: Body, site: &Site) -> Result<Held, Fault> {
    let most = site.limits().body.get();
    let mut body = Limited::new(body, most);
    let mut held = Held { bytes: BytesMut::new(), room: None };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => frame.data_ref().map_or(Ok(()), |bytes| held.push(bytes, site))?,
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large(most)),
            Err(_) => return Err(Fault::new(FaultKind::Invalid, "the body broke off")),
        }
    }
    Ok(held)
}

fn too_large(most: usize) -> Fault {
    Fault::new(FaultKind::BodyTooLarge, format!("the body is longer than {most} bytes"))
}
