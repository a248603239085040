//! The catalogue of metadata definitions, as the Image API has it.
//!
//! The order of refusals is Glance's: what the request says is checked first, then whether the caller may read
//! definitions at all and sees the namespace (else 404), then whether it may write (else 403), then the rest.
//!
//! | file | what it knows |
//! |---|---|
//! | `namespaces`, `properties`, `objects`, `tags`, `resource_types` | the actions |
//! | `query` | query strings → lists that are wanted |
//! | `wire` | definitions → JSON |
//! | `schema` | the JSON schemas of all that |
//!
//! Where this departs from Glance, on purpose: what Glance answers with 500 is 400 here, or 409 where a new name is taken;
//! what is longer than 80 characters is 400 also inside a namespace; a bound that is reached is 413; tags that differ in
//! nothing but case are one everywhere, as in Glance on MySQL; and a marker that the caller cannot see is 404.

mod namespaces;
mod objects;
mod properties;
mod query;
mod resource_types;
mod schema;
mod tags;
mod wire;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use image_service::ImageId;
use serde_json::Value;

use super::body::{self, Rule};
use super::exchange::Call;
use super::fault::Fault;
use super::unserved::{self, Part as Unserved};
use super::{answer, routes::Names};
use crate::metadefs::{Metadefs, Part, Session};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    ListNamespaces,
    AddNamespace,
    ShowNamespace,
    ChangeNamespace,
    DeleteNamespace,
    ListProperties,
    AddProperty,
    ShowProperty,
    ChangeProperty,
    RemoveProperty,
    ListObjects,
    AddObject,
    ShowObject,
    ChangeObject,
    RemoveObject,
    ListTags,
    SetTags,
    ShowTag,
    AddTag,
    RenameTag,
    RemoveTag,
    Clear(Part),
    ListResourceTypes,
    ListAssociations,
    Associate,
    Dissociate,
    ShowSchema,
}

impl Ask {
    /// What becomes of a request body.
    pub(super) const fn body(self) -> Rule {
        match self {
            Self::AddNamespace
            | Self::ChangeNamespace
            | Self::AddProperty
            | Self::ChangeProperty
            | Self::AddObject
            | Self::ChangeObject
            | Self::SetTags
            | Self::RenameTag
            | Self::Associate => Rule::Taken,
            Self::ListNamespaces | Self::ListObjects | Self::ListTags | Self::ShowProperty => Rule::Ignored,
            _ => Rule::None,
        }
    }

    /// How a service without a catalogue answers.
    const fn unserved(self) -> Unserved {
        match self {
            Self::ListNamespaces => Unserved::Namespaces,
            Self::ListResourceTypes => Unserved::ResourceTypes,
            Self::ShowNamespace
            | Self::ListProperties
            | Self::ShowProperty
            | Self::ListObjects
            | Self::ShowObject
            | Self::ListTags
            | Self::ShowTag
            | Self::ListAssociations
            | Self::ShowSchema => Unserved::Metadef,
            _ => Unserved::MetadefWrite,
        }
    }
}

/// One request to a catalogue that is there.
struct Desk<'c> {
    call: &'c Call,
    metadefs: &'c Metadefs,
    /// The namespace that the path names.
    namespace: &'c str,
    /// What it names in it.
    name: &'c str,
}

/// Answers a request.
pub(super) async fn answer(call: &Call, ask: Ask, names: &Names, body: Body) -> Result<Response, Fault> {
    if ask == Ask::ShowSchema {
        return schema::show(&names.name);
    }
    let Some(metadefs) = &call.front.metadefs else {
        return unserved::answer(call, ask.unserved(), &ImageId::lookup("")).await;
    };
    let desk = Desk { call, metadefs, namespace: &names.namespace, name: &names.name };
    match ask {
        Ask::ListNamespaces => namespaces::list(&desk).await,
        Ask::AddNamespace => namespaces::add(&desk, body).await,
        Ask::ShowNamespace => namespaces::show(&desk).await,
        Ask::ChangeNamespace => namespaces::change(&desk, body).await,
        Ask::DeleteNamespace => namespaces::delete(&desk).await,
        Ask::ListProperties => properties::list(&desk).await,
        Ask::AddProperty => properties::add(&desk, body).await,
        Ask::ShowProperty => properties::show(&desk).await,
        Ask::ChangeProperty => properties::change(&desk, body).await,
        Ask::RemoveProperty => properties::remove(&desk).await,
        Ask::ListObjects => objects::list(&desk).await,
        Ask::AddObject => objects::add(&desk, body).await,
        Ask::ShowObject => objects::show(&desk).await,
        Ask::ChangeObject => objects::change(&desk, body).await,
        Ask::RemoveObject => objects::remove(&desk).await,
        Ask::ListTags => tags::list(&desk).await,
        Ask::SetTags => tags::set(&desk, body).await,
        Ask::ShowTag => tags::show(&desk).await,
        Ask::AddTag => tags::add(&desk).await,
        Ask::RenameTag => tags::rename(&desk, body).await,
        Ask::RemoveTag => tags::remove(&desk).await,
        Ask::Clear(part) => namespaces::clear(&desk, part).await,
        Ask::ListResourceTypes => resource_types::list(&desk).await,
        Ask::ListAssociations => resource_types::associations(&desk).await,
        Ask::Associate => resource_types::associate(&desk, body).await,
        Ask::Dissociate => resource_types::dissociate(&desk).await,
        Ask::ShowSchema => schema::show(desk.name),
    }
}

impl Desk<'_> {
    /// The body as JSON, in which none of `read_only` may stand.
    async fn document(&self, body: Body, read_only: &[&str]) -> Result<Value, Fault> {
        let most = self.metadefs.bounds().document;
        let document = body::json_within(body, most, self.call.front.settings.body_pause).await?;
        match read_only.iter().find(|key| document.get(**key).is_some()) {
            Some(key) => Err(Fault::forbidden(format!("{key}: cannot be written"))),
            None => Ok(document),
        }
    }

    /// Does a job that only reads.
    async fn read<T, J>(&self, job: J) -> Result<T, Fault>
    where
        T: Send + 'static,
        J: FnOnce(&Session<'_>) -> image_service::Result<T> + Send + 'static,
    {
        let caller = &self.call.context.caller;
        self.call.policy().may_read_metadefs(caller)?;
        Ok(self.metadefs.read(caller, job).await?)
    }

    /// Does a job that changes something in the namespace.
    async fn write<T, J>(&self, job: J) -> Result<T, Fault>
    where
        T: Send + 'static,
        J: FnOnce(&Session<'_>, &str) -> image_service::Result<T> + Send + 'static,
    {
        let caller = &self.call.context.caller;
        self.call.policy().may_read_metadefs(caller)?;
        let namespace = self.namespace.to_owned();
        if let Err(fault) = self.call.policy().may_write_metadefs(caller) {
            self.metadefs.read(caller, move |session| session.namespace(&namespace)).await?;
            return Err(fault);
        }
        Ok(self.metadefs.write(caller, move |session| job(session, &namespace)).await?)
    }
}

/// Attributes that are for the service alone to say, of what has links and of what has none.
const WITH_LINKS: [&str; 4] = ["self", "schema", "created_at", "updated_at"];
const WITHOUT_LINKS: [&str; 2] = ["created_at", "updated_at"];

fn shown(value: &Value) -> Response {
    answer::json(StatusCode::OK, value)
}

fn created(value: &Value) -> Response {
    answer::json(StatusCode::CREATED, value)
}

fn gone() -> Response {
    answer::empty(StatusCode::NO_CONTENT)
}
