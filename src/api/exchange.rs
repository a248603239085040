//! One request, from its head to its answer.
//!
//! Gives it an id and a span, finds its action, asks who sends it, and turns whatever comes out, a panic too, into
//! one answer and one line in the log. The line is written when the answer begins; image data is still on its way
//! then.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use image_service::{Caller, Context, Error, Image, ImageId, ImageService, Store};
use tracing::Instrument as _;

use super::fault::Fault;
use super::marks::Marks;
use super::policy::{Policy, Roles};
use super::routes::{self, Action, Names, Target};
use super::versions::{self, Major, Storage};
use super::{
    Desk, Front, Route, answer, body, cache, compute, download, images, imports, list, locations, members,
    metadefs, partial, policy, request_id, schema, stores, tags, tasks, upload, usage, v1,
};
use crate::passage::Passage;

/// What every action is given.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) front: Arc<Front>,
    pub(super) marks: Arc<Marks>,
    pub(super) context: Context,
    pub(super) headers: HeaderMap,
    /// The query string as it came.
    pub(super) query: String,
    /// The way past the program for files, if the client's connection has one.
    pub(super) passage: Option<Passage>,
}

impl Call {
    pub(super) fn service(&self) -> &dyn ImageService {
        self.front.service.as_ref()
    }

    /// The named stores, if there are any.
    pub(super) fn stores(&self) -> Option<Vec<Store>> {
        named_stores(&self.front)
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.front.settings.policy
    }

    /// Lets through a caller with one of `roles`, which allow `what`.
    pub(super) fn permit(&self, roles: &Roles, what: &str) -> Result<(), Fault> {
        policy::permit(roles, &self.context.caller, what)
    }

    /// Lets through a caller with one of `roles`, which allow `what`. Others are told so only of an image that they can
    /// see.
    pub(super) async fn permit_on(&self, roles: &Roles, what: &str, id: &ImageId) -> Result<(), Fault> {
        if let Err(fault) = self.permit(roles, what) {
            self.visible(id).await?;
            return Err(fault);
        }
        Ok(())
    }

    /// The image, for a caller who may see it and whose role allows to look at images.
    pub(super) async fn visible(&self, id: &ImageId) -> Result<Image, Fault> {
        if !self.policy().get_image.admit(&self.context.caller) {
            return Err(Error::not_found(id).into());
        }
        Ok(self.service().show(&self.context, id).await?)
    }
}

fn named_stores(front: &Front) -> Option<Vec<Store>> {
    front.service.stores().map(|stores| stores.list()).filter(|stores| !stores.is_empty())
}

fn storage(front: &Front) -> Storage {
    let imports = front.imports.is_some();
    let located = imports && front.service.locations().is_some();
    let (cache, v1, compute) = (front.cache.is_some(), front.settings.v1, front.settings.compute);
    Storage { named: named_stores(front).is_some(), imports, located, cache, v1, compute }
}

/// Answers one request.
pub(super) async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let (major, target) = routes::find(&parts.method, parts.uri.path(), accept, storage(&desk.front));
    let (request_id, refused) = match request_id::choose(&parts.headers) {
        Ok(id) => (id, None),
        Err(fault) => (request_id::fresh(), Some(fault)),
    };
    let microversion = match major {
        Major::Compute(spelling) => Some(compute::Asked::read(spelling, &parts.headers)),
        Major::V1 | Major::V2 => None,
    };
    let route = target.template();
    let span = tracing::info_span!("request", %request_id, method = %parts.method, route);
    let work = async {
        let outcome = match refused {
            Some(fault) => Err(fault),
            None => {
                let work = respond(desk, target, request_id.clone(), parts, body);
                AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!("a panic while answering");
                    Err(Fault::internal())
                })
            }
        };
        let response = outcome.unwrap_or_else(|fault| match major {
            Major::V1 => fault.into_text(),
            Major::V2 => fault.into_response(),
            Major::Compute(_) => fault.into_compute(),
        });
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, duration_ms, "answered");
        response
    };
    let mut response = work.instrument(span).await;
    answer::set_header(&mut response, request_id::REQUEST_ID, &request_id);
    if let Some(asked) = microversion {
        compute::dress(&mut response, &asked, &request_id);
    }
    response.extensions_mut().insert(Route(route));
    response
}

async fn respond(
    desk: Desk,
    target: Target,
    request_id: String,
    mut parts: Parts,
    body: Body,
) -> Result<Response, Fault> {
    let Desk { front, marks } = desk;
    let query = parts.uri.query().unwrap_or_default();
    if query.len() > front.settings.query_string {
        let message = format!("the query string is longer than {} bytes", front.settings.query_string);
        return Err(Fault::new(StatusCode::URI_TOO_LONG, message));
    }
    let open = matches!(target, Target::Action { action, .. } if action.is_open());
    let caller = if open { Caller::default() } else { front.auth.caller(&parts.headers).await? };
    let (action, names) = destination(target)?;
    body::check(action.body(), &body)?;
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let within = front.settings.read_deadline;
    let context = Context {
        caller,
        request_id,
        // Of a download only the beginning is due then, which is seen to below.
        deadline: (reads && !action.is_of_data()).then(|| tokio::time::Instant::now().into_std() + within),
        prefer: Vec::new(),
        partial: partial::wanted(&parts.headers, front.settings.partial)?,
    };
    let query = query.to_owned();
    let passage = parts.extensions.remove::<Passage>();
    let call = Call { front, marks, context, headers: parts.headers, query, passage };
    let work = act(&call, action, &names, body);
    if !reads {
        return work.await;
    }
    tokio::time::timeout(within, work).await.unwrap_or_else(|_| {
        Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the answer could not be found in time"))
    })
}

fn destination(target: Target) -> Result<(Action, Names), Fault> {
    match target {
        Target::Action { action, names, .. } => Ok((action, names)),
        Target::WrongMethod(allow) => Err(Fault::wrong_method(&allow)),
        Target::Nowhere => Err(Fault::not_found("there is nothing at this path")),
        Target::UnknownMethod => Err(Fault::new(StatusCode::NOT_IMPLEMENTED, "no path has this method")),
    }
}

async fn act(call: &Call, action: Action, names: &Names, body: Body) -> Result<Response, Fault> {
    let Names { id, name, .. } = names;
    match action {
        Action::ChooseVersion => Ok(versions::choose(call, storage(&call.front))),
        Action::ListVersions => Ok(versions::list(call, storage(&call.front))),
        Action::CheckHealth => Ok("OK".into_response()),
        Action::ListImages => list::list(call).await,
        Action::CreateImage => images::create(call, body).await,
        Action::ShowImage => images::show(call, id).await,
        Action::UpdateImage => images::update(call, id, body).await,
        Action::DeleteImage => images::delete(call, id).await,
        Action::Deactivate => images::deactivate(call, id).await,
        Action::Reactivate => images::reactivate(call, id).await,
        Action::Download => download::download(call, id).await,
        Action::Upload => upload::upload(call, id, body).await,
        Action::ListMembers => members::list(call, id).await,
        Action::AddMember => members::add(call, id, body).await,
        Action::ShowMember => members::show(call, id, name).await,
        Action::SetMemberStatus => members::set_status(call, id, name, body).await,
        Action::RemoveMember => members::remove(call, id, name).await,
        Action::AddTag => tags::add(call, id, name).await,
        Action::RemoveTag => tags::remove(call, id, name).await,
        Action::ShowSchema => schema::show(call, name),
        Action::ListImportMethods => Ok(imports::methods(call)),
        Action::Stage => imports::stage(call, id, body).await,
        Action::Import => imports::import(call, id, body).await,
        Action::ListTasksOfImage => tasks::of_image(call, id).await,
        Action::ListTasks => tasks::list(call).await,
        Action::CreateTask => tasks::create(call, body).await,
        Action::ShowTask => tasks::show(call, name).await,
        Action::DeleteTask => tasks::delete(call),
        Action::ListStores => stores::list(call),
        Action::DetailStores => stores::detail(call),
        Action::RemoveCopy => stores::remove_copy(call, name, id).await,
        Action::ListLocations => locations::list(call, id).await,
        Action::AddLocation => locations::add(call, id, body).await,
        Action::ShowUsage => usage::show(call).await,
        Action::Metadefs(ask) => metadefs::answer(call, ask, names, body).await,
        Action::Cache(deed) => cache::answer(call, deed, id).await,
        Action::V1(ask) => v1::answer(call, ask, names, body).await,
        Action::Compute(ask) => compute::answer(call, ask, names, body).await,
    }
}
