//! Where the data of an image comes from: the body of the request, a URL from which it is fetched once, or a URL at which
//! it stays.
//!
//! What the client says of the data in advance, its size and its checksum, is held to what comes: the stream ends in an
//! error if it is something else, so that nothing of it stays.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::{Body, HttpBody as _};
use futures::StreamExt as _;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use image_service::{
    ByteStream, Error, ErrorKind, HashAlgorithm, Image, ImageId, Known, Location, Locations, NewLocation,
    Upload,
};
use portico_hashing::Hashing;
use serde_json::json;

use super::super::exchange::Call;
use super::super::fault::Fault;
use super::super::upload;
use super::said::{Said, Source, several_sources};

use crate::imports::{Imports, Kind, Method, Request, Source as ImportSource, Targets};

/// Where data comes from, if any is to.
#[derive(Debug)]
pub(super) enum Data {
    None,
    /// With the request.
    Here(Body),
    /// From this URL, once.
    Copy(String),
    /// From this URL, where it stays.
    Location(String),
}

impl Data {
    /// What a request brings.
    ///
    /// # Errors
    /// 400 if there is more than one source, or more than an image may have.
    pub(super) fn of(call: &Call, said: &Said, body: Body) -> Result<Self, Fault> {
        let most = call.front.settings.image_size;
        let announced = length(call)?.filter(|length| *length > 0).or(said.size);
        if announced.is_some_and(|size| size > most) {
            return Err(Fault::bad_request(too_large(most)));
        }
        let has_body = !body.is_end_stream();
        match &said.source {
            Some(_) if has_body => Err(several_sources()),
            Some(Source::Copy(_)) if said.checksum.is_some() => {
                Err(Fault::bad_request("a checksum cannot be given of data that is fetched later"))
            }
            Some(Source::Copy(url)) => Ok(Self::Copy(url.clone())),
            Some(Source::Location(url)) => Ok(Self::Location(url.clone())),
            None if has_body => Ok(Self::Here(body)),
            None => Ok(Self::None),
        }
    }

    /// Lets through a caller who may bring data so, from where it may come, for an image of these formats.
    ///
    /// # Errors
    /// 403 for whoever may not; 400 for a URL that is not allowed, and while a format is unset.
    pub(super) fn check(
        &self,
        call: &Call,
        disk: Option<&str>,
        container: Option<&str>,
    ) -> Result<(), Fault> {
        let policy = call.policy();
        match self {
            Self::None => return Ok(()),
            Self::Here(_) => {
                call.permit(&policy.upload_image, "upload image data")?;
                check_type(call)?;
            }
            Self::Copy(url) => {
                call.permit(&policy.upload_image, "upload image data")?;
                imports(call, url)?.check_url(url).map_err(|_| unsupported(url))?;
            }
            Self::Location(url) => {
                call.permit(&policy.set_image_location, "set locations")?;
                locations(call, url)?.check(url).map_err(|_| unsupported(url))?;
            }
        }
        match (disk, container) {
            (None, _) => Err(Fault::bad_request("Disk format is not specified.")),
            (_, None) => Err(Fault::bad_request("Container format is not specified.")),
            _ => Ok(()),
        }
    }
}

fn length(call: &Call) -> Result<Option<u64>, Fault> {
    let Some(value) = call.headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Fault::bad_request("Content-Length: must be an integer, not negative"))
}

fn too_large(most: u64) -> String {
    format!("Denying attempt to upload image larger than {most} bytes.")
}

fn check_type(call: &Call) -> Result<(), Fault> {
    upload::check_type(&call.headers).map_err(|fault| {
        fault
            .with_status(StatusCode::BAD_REQUEST)
            .with_message("Content-Type must be application/octet-stream")
    })
}

fn unsupported(url: &str) -> Fault {
    Fault::bad_request(format!("External sources are not supported: '{url}'"))
}

fn imports<'a>(call: &'a Call, url: &str) -> Result<&'a Imports, Fault> {
    let imports = call.front.imports.as_ref();
    let fetch = |imports: &&Imports| imports.settings().methods.contains(&Method::WebDownload);
    imports.filter(fetch).ok_or_else(|| unsupported(url))
}

fn locations<'a>(call: &'a Call, url: &str) -> Result<&'a dyn Locations, Fault> {
    call.service().locations().ok_or_else(|| unsupported(url))
}

/// What is found out about data while it passes.
#[derive(Debug)]
pub(super) struct Watch {
    overflow: Arc<AtomicBool>,
    /// The checksum, if it is not the one that was said.
    found: Arc<OnceLock<String>>,
    said: Said,
    most: u64,
}

impl Watch {
    /// The outcome of an upload in the words of whoever sent it. A service may tell any failure of the stream as one that
    /// broke off.
    pub(super) fn judge(&self, outcome: Result<Image, Error>) -> Result<Image, Fault> {
        let error = match outcome {
            Ok(image) => return Ok(image),
            Err(error) => error,
        };
        if self.overflow.load(Ordering::Relaxed) {
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, too_large(self.most)));
        }
        if let (Some(found), Some(said)) = (self.found.get(), &self.said.checksum) {
            return Err(Fault::bad_request(format!(
                "Supplied checksum ({said}) and checksum generated from uploaded image ({found}) did not match."
            )));
        }
        let kind = error.kind();
        let fault = Fault::from(error);
        Err(match kind {
            ErrorKind::NotImplemented => fault
                .with_status(StatusCode::GONE)
                .with_message("Error in store configuration. Adding images to store is disabled."),
            _ => fault,
        })
    }
}

/// The body of a request as data of what is said.
///
/// # Errors
/// 400 if its length is not the size that is said.
pub(super) fn incoming(call: &Call, said: &Said, body: Body) -> Result<(Upload, Watch), Fault> {
    let settings = &call.front.settings;
    // Some say 0 of what they do not know.
    let expected = said.size.filter(|size| *size > 0);
    let size = match (length(call)?, expected) {
        (Some(length), Some(size)) if length != size => {
            return Err(Fault::bad_request(format!(
                "Supplied size ({size}) and size generated from uploaded image ({length}) did not match."
            )));
        }
        (length, size) => length.or(size),
    };
    let (overflow, found) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
    let mut stream = upload::bytes(body, settings, Arc::clone(&overflow));
    if let Some(checksum) = &said.checksum {
        stream = checked(stream, checksum.clone(), Arc::clone(&found));
    }
    let watch = Watch { overflow, found, said: said.clone(), most: settings.image_size };
    Ok((Upload { stream, size, store: None }, watch))
}

/// The same data, which ends in an error unless it has this checksum. What it has instead is told in `found`.
fn checked(stream: ByteStream, expected: String, found: Arc<OnceLock<String>>) -> ByteStream {
    let state = Some((stream, Hashing::new(HashAlgorithm::Md5), expected, found));
    Box::pin(futures::stream::unfold(state, |state| async move {
        let (mut stream, mut hashing, expected, found) = state?;
        match stream.next().await {
            Some(Ok(piece)) => match hashing.update(piece.clone()).await {
                Ok(()) => Some((Ok(piece), Some((stream, hashing, expected, found)))),
                Err(error) => Some((Err(error), None)),
            },
            Some(Err(error)) => Some((Err(error), None)),
            None => match hashing.finish().await {
                Ok(hash) if hash.value == expected => None,
                Ok(hash) => {
                    // Nobody else writes there.
                    found.get_or_init(|| hash.value);
                    Some((Err(Error::new(ErrorKind::Incomplete, "the data has another checksum")), None))
                }
                Err(error) => Some((Err(error), None)),
            },
        }
    }))
}

/// Begins to fetch data for a queued image.
pub(super) async fn copy(call: &Call, id: &ImageId, url: String, store: Option<String>) -> Result<(), Fault> {
    let imports = imports(call, &url)?;
    let method = json!({"name": Method::WebDownload.as_str(), "uri": url});
    let request = Request {
        kind: Kind::ApiImageImport,
        input: json!({"image_id": id.as_str(), "import_req": {"method": method}}),
        source: ImportSource::Web { uri: url },
        targets: store.map_or(Targets::Default, |store| Targets::Named(vec![store])),
        all_must_succeed: true,
    };
    imports.import(&call.context, id, request).await?;
    Ok(())
}

/// What lies at a URL and is to be the data of `image`, looked at before anything is made or changed. It is not read.
///
/// # Errors
/// 404 if it cannot be had; 409 if it is not of the size that is said.
pub(super) async fn look(call: &Call, image: &Image, url: String, said: &Said) -> Result<NewLocation, Fault> {
    let opened = locations(call, &url)?.open(&call.context, image, &url).await;
    let stored = opened.map_err(absent)?.size;
    let size = said.size.filter(|size| *size > 0);
    if let (Some(size), Some(stored)) = (size, stored)
        && size != stored
    {
        return Err(Fault::conflict(format!(
            "Provided image size must match the stored image size. (provided size: {size}, stored size: {stored})"
        )));
    }
    let known = Known { checksum: said.checksum.clone(), size: size.or(stored), ..Known::default() };
    let location = Location { url, metadata: BTreeMap::new(), store: None };
    Ok(NewLocation { location, at: None, known })
}

/// What is at a location is looked for where the client says: if it is not there, that is what is not found.
fn absent(error: Error) -> Fault {
    match error.kind() {
        ErrorKind::Invalid => Fault::from(error).with_status(StatusCode::NOT_FOUND),
        _ => Fault::from(error),
    }
}

/// Makes a queued image active, whose data lies elsewhere.
pub(super) async fn locate(call: &Call, id: &ImageId, new: NewLocation) -> Result<Image, Fault> {
    let power = locations(call, &new.location.url)?;
    Ok(power.add(&call.context, id, new).await?)
}
