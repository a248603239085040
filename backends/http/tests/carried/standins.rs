//! Services of old, made of a store of today: what they show of its images, and how they list them.
//!
//! They order images of one second by what nobody is shown, as the real ones do by microseconds, and give no more in a
//! page than they like.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query as Asked, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use image_service::{
    Caller, Context, Direction, Image, ImageId, ImageService, Query, Scope, SortKey, Status, Visibility,
    VisibilityScope,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The most images in a page, whatever is asked for.
const CAP: usize = 5;

type Store = Arc<dyn ImageService>;
type Params = Asked<BTreeMap<String, String>>;

/// A server on loopback. It is gone when this is dropped.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(app: Router) -> StandIn {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    StandIn { address, task }
}

/// A Glance that speaks the Images API v1, as far as reading goes.
pub(crate) async fn glance_v1(store: Store) -> StandIn {
    let app = Router::new()
        .route("/v1/images/detail", get(v1_detail))
        .route("/v1/images/{id}", get(v1_image))
        .route("/v1/images/{id}/members", get(v1_members))
        .route("/v1/shared-images/{project}", get(v1_shared));
    serve(app.with_state(store)).await
}

/// A Nova that shows images.
pub(crate) async fn nova(store: Store) -> StandIn {
    let app = Router::new()
        .route("/v2.1/images/detail", get(nova_detail))
        .route("/v2.1/images/{id}", get(nova_image));
    serve(app.with_state(store)).await
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-stand-in")
}

async fn everything(store: &Store) -> Vec<Image> {
    let scope = Scope { visibility: VisibilityScope::All, ..Scope::default() };
    store.detail(&admin(), &Query { scope, ..Query::default() }).await.unwrap().items
}

/// One page, or `None` if there is no such marker.
async fn page(store: &Store, params: &BTreeMap<String, String>) -> Option<Vec<Image>> {
    let key: SortKey = params.get("sort_key").map_or("created_at", String::as_str).parse().unwrap();
    let direction: Direction = params.get("sort_dir").map_or("desc", String::as_str).parse().unwrap();
    let mut images = everything(store).await;
    let unseen = |image: &Image| image.id.as_str().chars().rev().collect::<String>();
    images.sort_by(|a, b| direction.apply(key.compare(a, b).then_with(|| unseen(a).cmp(&unseen(b)))));
    let start = match params.get("marker") {
        Some(marker) => images.iter().position(|image| image.id.as_str() == marker)? + 1,
        None => 0,
    };
    let limit = params["limit"].parse::<usize>().unwrap().min(CAP);
    let is_asked_for = |image: &Image| {
        let is = |name: &str, value: Option<&str>| {
            params.get(name).is_none_or(|wanted| Some(wanted.as_str()) == value)
        };
        is("name", image.name.as_deref())
            && is("status", Some(image.status.as_str()))
            && is("disk_format", image.disk_format.as_deref())
            && is("container_format", image.container_format.as_deref())
    };
    Some(images.into_iter().skip(start).filter(is_asked_for).take(limit).collect())
}

fn answer(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

fn text(status: StatusCode) -> Response {
    (status, format!("{status}\n\nNo image with that ID.")).into_response()
}

fn v1_attributes(image: &Image) -> Vec<(&'static str, Value)> {
    let time = |time: &image_service::Timestamp| json!(time.to_string().replace('Z', ".000000"));
    vec![
        ("id", json!(image.id.as_str())),
        ("name", json!(image.name)),
        ("status", json!(image.status.as_str())),
        ("is_public", json!(image.visibility == Visibility::Public)),
        ("owner", json!(image.owner)),
        ("size", json!(image.size.unwrap_or(0))),
        ("virtual_size", json!(image.virtual_size)),
        ("disk_format", json!(image.disk_format)),
        ("container_format", json!(image.container_format)),
        ("checksum", json!(image.checksum)),
        ("protected", json!(image.protected)),
        ("min_disk", json!(image.min_disk)),
        ("min_ram", json!(image.min_ram)),
        ("created_at", time(&image.created_at)),
        ("updated_at", time(&image.updated_at)),
        ("deleted", json!(false)),
        ("deleted_at", Value::Null),
    ]
}

async fn v1_detail(State(store): State<Store>, Asked(params): Params) -> Response {
    assert_eq!(params["is_public"], "none", "an administrator who asks otherwise is shown less");
    let Some(images) = page(&store, &params).await else { return text(StatusCode::BAD_REQUEST) };
    let record = |image: &Image| {
        let mut record: serde_json::Map<String, Value> =
            v1_attributes(image).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        record.insert("properties".to_owned(), json!(image.properties));
        Value::Object(record)
    };
    answer(&json!({"images": images.iter().map(record).collect::<Vec<_>>()}))
}

async fn v1_image(State(store): State<Store>, Path(id): Path<String>, method: Method) -> Response {
    let id = ImageId::lookup(id);
    let Ok(image) = store.show(&admin(), &id).await else { return text(StatusCode::NOT_FOUND) };
    let mut response = match (method, image.status) {
        (Method::HEAD, _) => Response::new(Body::empty()),
        (_, Status::Active) => match store.get(&admin(), &id, None).await.unwrap().data {
            Some(data) => {
                let total = data.total;
                let mut response = Response::new(Body::from_stream(data.into_stream()));
                response.headers_mut().insert("content-length", total.into());
                response
            }
            None => return text(StatusCode::NOT_FOUND),
        },
        (_, Status::Deactivated) => return text(StatusCode::FORBIDDEN),
        _ => return text(StatusCode::NOT_FOUND),
    };
    let mut put = |name: String, value: &str| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    };
    for (name, value) in v1_attributes(&image) {
        match value {
            Value::Null => {}
            Value::String(text) => put(format!("x-image-meta-{name}"), &text),
            Value::Bool(flag) => put(format!("x-image-meta-{name}"), if flag { "True" } else { "False" }),
            other => put(format!("x-image-meta-{name}"), &other.to_string()),
        }
    }
    for (key, value) in &image.properties {
        put(format!("x-image-meta-property-{}", key.to_lowercase()), value);
    }
    response
}

async fn members(store: &Store, id: &ImageId) -> Vec<String> {
    let members = store.sharing().unwrap().members(&admin(), id).await;
    members.map_or_else(|_| Vec::new(), |all| all.into_iter().map(|member| member.member_id).collect())
}

async fn v1_members(State(store): State<Store>, Path(id): Path<String>) -> Response {
    let members = members(&store, &ImageId::lookup(id)).await;
    let members: Vec<Value> =
        members.into_iter().map(|member| json!({"member_id": member, "can_share": false})).collect();
    answer(&json!({"members": members}))
}

async fn v1_shared(State(store): State<Store>, Path(project): Path<String>) -> Response {
    let mut shared = Vec::new();
    for image in everything(&store).await {
        if members(&store, &image.id).await.contains(&project) {
            shared.push(json!({"image_id": image.id.as_str(), "can_share": false}));
        }
    }
    answer(&json!({"shared_images": shared}))
}

fn nova_record(image: &Image) -> Value {
    let (status, progress) = match image.status {
        Status::Active => ("ACTIVE", 100),
        Status::Queued => ("SAVING", 25),
        Status::Saving => ("SAVING", 50),
        Status::Killed => ("ERROR", 0),
        _ => ("UNKNOWN", 0),
    };
    json!({
        "id": image.id.as_str(), "name": image.name, "status": status, "progress": progress,
        "created": image.created_at.to_string(), "updated": image.updated_at.to_string(),
        "minDisk": image.min_disk, "minRam": image.min_ram, "metadata": image.properties,
        "OS-EXT-IMG-SIZE:size": image.size.unwrap_or(0), "links": [],
    })
}

async fn nova_detail(State(store): State<Store>, Asked(params): Params) -> Response {
    assert!(!params.contains_key("sort_key"), "there is no such parameter");
    match page(&store, &params).await {
        Some(images) => {
            // What is hidden the image service lists only to those who ask for it.
            let listed = images.iter().filter(|image| !image.hidden);
            let images: Vec<Value> = listed.map(nova_record).collect();
            answer(&json!({"images": images}))
        }
        None => text(StatusCode::BAD_REQUEST),
    }
}

async fn nova_image(State(store): State<Store>, Path(id): Path<String>) -> Response {
    match store.show(&admin(), &ImageId::lookup(id)).await {
        Ok(image) => answer(&json!({"image": nova_record(&image)})),
        Err(_) => text(StatusCode::NOT_FOUND),
    }
}
