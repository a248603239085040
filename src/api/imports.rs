//! Staging and importing: what clients ask, and whether they may.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::HeaderName;
use image_service::{Image, ImageId, Upload};
use serde_json::{Map, Value, json};

use super::exchange::Call;
use super::fault::Fault;
use super::unserved::{self, Part};
use super::{answer, body, images, policy, upload};
use crate::imports::{Imports, Kind, Method, Request, Source, Targets, remote_id};
use crate::quotas::Purpose;

/// Most bytes of a URL, or a name, in an import.
pub(super) const LONGEST: usize = 4096;

/// Most stores that one import can name.
const MOST_STORES: usize = 1000;

pub(super) const METHODS: HeaderName = HeaderName::from_static("openstack-image-import-methods");

/// Answers with the ways to import.
pub(super) fn methods(call: &Call) -> Response {
    let methods: Vec<&str> = names(call);
    let methods = json!({"description": "Import methods available.", "type": "array", "value": methods});
    answer::json(StatusCode::OK, &json!({ "import-methods": methods }))
}

/// The ways to import, by name.
pub(super) fn names(call: &Call) -> Vec<&'static str> {
    let methods = call.front.imports.iter().flat_map(|imports| &imports.settings().methods);
    methods.map(|method| method.as_str()).collect()
}

/// Takes data into the staging area.
pub(super) async fn stage(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let served = |imports: &&Imports| imports.settings().methods.contains(&Method::GlanceDirect);
    let Some(imports) = call.front.imports.as_ref().filter(served) else {
        return unserved::answer(call, Part::Stage, id).await;
    };
    let settings = &call.front.settings;
    upload::check_type(&call.headers)?;
    let size = upload::announced(&call.headers)?;
    if size.is_some_and(|size| size > settings.image_size) {
        return Err(upload::too_large(settings));
    }
    may_modify(call, id).await?;
    call.admit(Purpose::Stage).await?;
    let overflow = Arc::new(AtomicBool::new(false));
    let stream = upload::bytes(body, settings, Arc::clone(&overflow));
    match imports.stage(&call.context, id, Upload { stream, size, store: None }).await {
        Ok(()) => Ok(answer::empty(StatusCode::NO_CONTENT)),
        Err(_) if overflow.load(Ordering::Relaxed) => Err(upload::too_large(settings)),
        Err(error) => Err(error.into()),
    }
}

/// Begins an import.
pub(super) async fn import(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let Some(imports) = &call.front.imports else { return unserved::answer(call, Part::Import, id).await };
    let settings = &call.front.settings;
    let input = body::json(body, settings).await?;
    let Asked { source, targets, all_must_succeed } = read(call, imports, &input)?;
    match source {
        Source::Copy => {
            call.permit_on(&call.policy().copy_image, "copy images to other stores", id).await?;
            call.visible(id).await?;
        }
        _ => drop(may_modify(call, id).await?),
    }
    match &source {
        Source::Web { uri } => imports.check_url(uri).map_err(|error| {
            Fault::bad_request(format!("URI for web-download does not pass filtering: {uri}: {error}"))
        })?,
        Source::Image { .. } => call.permit(&call.policy().download_image, "read image data")?,
        Source::Staged | Source::Copy | Source::Location { .. } => {}
    }
    let staged = source == Source::Staged;
    call.admit(if staged { Purpose::ImportStaged } else { Purpose::Import }).await?;
    let request = Request {
        kind: Kind::ApiImageImport,
        input: json!({"image_id": id.as_str(), "import_req": told(&source, &targets, all_must_succeed)}),
        source,
        targets,
        all_must_succeed,
    };
    imports.import(&call.context, id, request).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

/// What was asked, as a task tells of it: all that is known here, and nothing else that was sent.
fn told(source: &Source, targets: &Targets, all_must_succeed: bool) -> Value {
    let mut method = json!({"name": source.method().map_or("", Method::as_str)});
    match source {
        Source::Web { uri } => method["uri"] = uri.as_str().into(),
        Source::Image { id, region } => {
            method["glance_image_id"] = id.as_str().into();
            method["glance_region"] = region.as_str().into();
        }
        Source::Staged | Source::Copy | Source::Location { .. } => {}
    }
    let mut told = json!({"method": method, "all_stores_must_succeed": all_must_succeed});
    match targets {
        Targets::Named(names) => told["stores"] = json!(names),
        Targets::All => told["all_stores"] = true.into(),
        Targets::Default => {}
    }
    told
}

/// The image, for a caller who may change it.
async fn may_modify(call: &Call, id: &ImageId) -> Result<Image, Fault> {
    let image = call.visible(id).await?;
    call.permit(&call.policy().modify_image, "change images")?;
    policy::must_own(&call.context.caller, &image)?;
    Ok(image)
}

/// What a body asks for.
struct Asked {
    source: Source,
    targets: Targets,
    all_must_succeed: bool,
}

fn read(call: &Call, imports: &Imports, body: &Value) -> Result<Asked, Fault> {
    let Value::Object(body) = body else {
        return Err(Fault::bad_request("an import must be a JSON object"));
    };
    let method = match body.get("method") {
        Some(Value::Object(method)) => method,
        Some(_) => return Err(Fault::bad_request("method: must be an object")),
        None => return Err(Fault::bad_request("Import request requires a 'method' field.")),
    };
    let name = text(method, "name", "Import request requires a 'name' field.")?;
    let known = Method::named(&name).filter(|method| imports.settings().methods.contains(method));
    let known = known.ok_or_else(|| Fault::bad_request(format!("Unknown import method name '{name}'.")))?;
    let source = match known {
        Method::GlanceDirect => Source::Staged,
        Method::CopyImage => Source::Copy,
        Method::WebDownload => {
            Source::Web { uri: text(method, "uri", "'uri' needs to be set for web-download import method")? }
        }
        Method::GlanceDownload => {
            let missing = |key| format!("'{key}' needs to be set for glance-download import method");
            let region = text(method, "glance_region", &missing("glance_region"))?;
            let id = text(method, "glance_image_id", &missing("glance_image_id"))?;
            Source::Image { id: remote_id(&id)?, region }
        }
    };
    let all_must_succeed = flag(body, "all_stores_must_succeed")?.unwrap_or(true);
    let all = flag(body, "all_stores")?.unwrap_or(false);
    let has_stores = call.stores().is_some();
    if !has_stores && !all_must_succeed {
        return Err(Fault::bad_request("all_stores_must_succeed: this site has no named stores"));
    }
    Ok(Asked { source, targets: targets(call, body, all, has_stores)?, all_must_succeed })
}

fn targets(call: &Call, body: &Map<String, Value>, all: bool, has_stores: bool) -> Result<Targets, Fault> {
    let named =
        call.headers.get(images::STORE).map(|store| String::from_utf8_lossy(store.as_bytes()).into_owned());
    let listed = match body.get("stores") {
        None => None,
        Some(Value::Array(stores)) if !stores.is_empty() => {
            let stores: Option<BTreeSet<String>> =
                stores.iter().map(|store| store.as_str().map(str::to_owned)).collect();
            let given = stores.ok_or_else(|| Fault::bad_request("stores: must be a list of names"))?;
            // What is unknown is a conflict, as with Glance, which the imports say.
            Some(given.into_iter().take(MOST_STORES).collect())
        }
        Some(_) => return Err(Fault::bad_request("stores: must be a list of names, with one at least")),
    };
    match (all, listed, named) {
        (true, Some(_), _) | (true, _, Some(_)) => Err(Fault::bad_request(
            "all_stores parameter can't be used with x-image-meta-store header or stores parameter",
        )),
        (_, Some(_), Some(_)) => {
            Err(Fault::bad_request("stores parameter and x-image-meta-store header can't be both specified"))
        }
        // Where there is one store without a name, none is looked for.
        _ if !has_stores => Ok(Targets::Default),
        (true, ..) => Ok(Targets::All),
        (_, Some(stores), _) => Ok(Targets::Named(stores)),
        (_, _, Some(store)) => Ok(Targets::Named(vec![store])),
        (false, None, None) => Ok(Targets::Default),
    }
}

/// A short text: it is remembered as long as the task is.
fn text(object: &Map<String, Value>, key: &str, missing: &str) -> Result<String, Fault> {
    match object.get(key) {
        Some(Value::String(text)) if text.len() > LONGEST => {
            Err(Fault::bad_request(format!("{key}: must not be longer than {LONGEST} bytes")))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Fault::bad_request(format!("{key}: must be text"))),
        None => Err(Fault::bad_request(missing)),
    }
}

fn flag(object: &Map<String, Value>, key: &str) -> Result<Option<bool>, Fault> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Fault::bad_request(format!("'{key}' must be boolean value only"))),
    }
}
