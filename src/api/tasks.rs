//! Tasks, as administrators see them, and as everyone sees those of an image.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{ALLOW, HeaderValue, LOCATION};
use image_service::ImageId;
use serde_json::{Map, Value, json};

use super::exchange::Call;
use super::fault::Fault;
use super::links::{MARKER, Params};
use super::unserved::{self, Part};
use super::{Settings, answer, body, links, policy, wire};
use crate::imports::{
    Imports, Kind, Method, Request, Source, Targets, Task, TaskQuery, TaskSort, TaskStatus,
};
use crate::quotas::Purpose;

/// Most bytes of a task, which is remembered as it is.
const LONGEST: usize = 64 << 10;

const TASKS: &str = "/v2/tasks";

/// Lists the tasks of one image, with moments in microseconds, as only here.
pub(super) async fn of_image(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let image = call.visible(id).await?;
    // A URL may open a door, so what was asked is told to those alone whose image it is.
    let own = policy::must_own(&call.context.caller, &image).is_ok();
    let tasks = match &call.front.imports {
        Some(imports) => imports.of_image(id).await?,
        None => Vec::new(),
    };
    let shown: Vec<Value> = tasks.iter().map(|task| in_full(task, own)).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "tasks": shown })))
}

pub(super) async fn list(call: &Call) -> Result<Response, Fault> {
    permit(call)?;
    let Some(imports) = &call.front.imports else { return unserved(call, Part::Tasks).await };
    let params = Params::read(&call.query)?;
    let query = read(&params, &call.front.settings)?;
    let limit = query.limit;
    let tasks = if limit == 0 { Vec::new() } else { imports.list(&call.context, query).await? };
    let mut shown = Map::new();
    if let Some(last) = tasks.last().filter(|_| tasks.len() == limit) {
        shown.insert("next".into(), params.link(TASKS, &[(MARKER, &last.id)]).into());
    }
    shown.insert("tasks".into(), tasks.iter().map(brief).map(Value::Object).collect());
    shown.insert("first".into(), params.link(TASKS, &[]).into());
    shown.insert("schema".into(), "/v2/schemas/tasks".into());
    Ok(answer::json(StatusCode::OK, &shown))
}

pub(super) async fn show(call: &Call, id: &str) -> Result<Response, Fault> {
    permit(call)?;
    let Some(imports) = &call.front.imports else { return unserved(call, Part::Task).await };
    let task = imports.task(&call.context, id).await?;
    Ok(answer::json(StatusCode::OK, &whole(&task)))
}

/// Makes an image and begins to fill it.
pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Fault> {
    permit(call)?;
    let served = |imports: &&Imports| imports.settings().methods.contains(&Method::WebDownload);
    let Some(imports) = call.front.imports.as_ref().filter(served) else {
        return unserved(call, Part::TaskWrite).await;
    };
    let settings = &call.front.settings;
    let body = body::json(body, settings).await?;
    let (uri, new) = wanted(&body)?;
    imports.check_url(&uri).map_err(|error| Fault::bad_request(format!("import_from: {uri}: {error}")))?;
    let image = wire::new_image(&new, settings)?;
    call.permit(&call.policy().add_image, "create images")?;
    call.policy().may_set_visibility(&call.context.caller, image.visibility)?;
    if image.disk_format.is_none() || image.container_format.is_none() {
        return Err(Fault::bad_request("image_properties: must have disk_format and container_format"));
    }
    call.admit(Purpose::Create).await?;
    call.admit(Purpose::Import).await?;
    let image = call.service().create(&call.context, image, None).await?;
    let request = Request {
        kind: Kind::Import,
        input: body.get("input").cloned().unwrap_or_default(),
        source: Source::Web { uri },
        targets: Targets::Default,
        all_must_succeed: true,
    };
    let begun = imports.import(&call.context, &image.id, request).await;
    let task = match begun {
        Ok(Some(task)) => task,
        Ok(None) => return Err(Fault::internal()),
        Err(error) => {
            // Nobody knows the image, so nobody would ever find it.
            if let Err(error) = call.service().delete(&call.context, &image.id).await {
                tracing::warn!(image = %image.id, %error, "an image stays whose task was not begun");
            }
            return Err(error.into());
        }
    };
    let mut response = answer::json(StatusCode::CREATED, &whole(&task));
    let base = links::base(settings, &call.headers);
    answer::set_header(&mut response, LOCATION, &format!("{base}{TASKS}/{}", task.id));
    Ok(response)
}

/// Tasks go by themselves.
pub(super) fn delete(call: &Call) -> Result<Response, Fault> {
    permit(call)?;
    let message = "This operation is currently not permitted on Tasks. They are forgotten at the time in their \
                   expires_at property.";
    Err(Fault::new(StatusCode::METHOD_NOT_ALLOWED, message)
        .with_header(ALLOW, Some(HeaderValue::from_static("GET"))))
}

fn permit(call: &Call) -> Result<(), Fault> {
    call.permit(&call.policy().tasks_api_access, "use tasks")
}

async fn unserved(call: &Call, part: Part) -> Result<Response, Fault> {
    unserved::answer(call, part, &ImageId::lookup("")).await
}

/// The URL and the image that the body of a new task asks for.
fn wanted(body: &Value) -> Result<(String, Value), Fault> {
    let required =
        |key: &str| body.get(key).ok_or_else(|| Fault::bad_request(format!("Task '{key}' is required")));
    if required("type")?.as_str() != Some("import") {
        return Err(Fault::bad_request("type: must be import"));
    }
    let Value::Object(input) = required("input")? else {
        return Err(Fault::bad_request("input: must be an object"));
    };
    let given = |key: &str| match input.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(Fault::bad_request(format!("input: '{key}' is required, and must be text"))),
    };
    let uri = given("import_from")?;
    given("import_from_format")?;
    if body.to_string().len() > LONGEST {
        return Err(Fault::bad_request(format!("a task must not be longer than {LONGEST} bytes")));
    }
    match input.get("image_properties") {
        Some(properties @ Value::Object(_)) => Ok((uri, properties.clone())),
        _ => Err(Fault::bad_request("input: 'image_properties' is required, and must be an object")),
    }
}

/// Which tasks a query string asks for.
fn read(params: &Params, settings: &Settings) -> Result<TaskQuery, Fault> {
    let wrong = |key: &str, value: &str| Fault::bad_request(format!("{key}: '{value}' is not known"));
    let limit = match params.last("limit") {
        None => settings.default_page.get(),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| Fault::bad_request("limit: must be an integer, not negative"))?
            .min(settings.largest_page.get()),
    };
    let marker = params.last(MARKER).map(|marker| -> Result<String, Fault> {
        uuid::Uuid::try_parse(marker).map_err(|_| Fault::bad_request("marker: must be the ID of a task"))?;
        Ok(marker.to_owned())
    });
    let status =
        params.last("status").map(|word| TaskStatus::named(word).ok_or_else(|| wrong("status", word)));
    let kind = params.last("type").map(|word| match word {
        "import" => Ok(Kind::Import),
        _ => Err(wrong("type", word)),
    });
    let sort =
        params.last("sort_key").map(|word| TaskSort::named(word).ok_or_else(|| wrong("sort_key", word)));
    let descending = match params.last("sort_dir") {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(word) => return Err(wrong("sort_dir", word)),
    };
    Ok(TaskQuery {
        owner: None,
        status: status.transpose()?,
        kind: kind.transpose()?,
        sort: sort.transpose()?.unwrap_or(TaskSort::CreatedAt),
        descending,
        marker: marker.transpose()?,
        limit,
    })
}

/// What a list tells of a task.
fn brief(task: &Task) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".into(), task.id.as_str().into());
    shown.insert("type".into(), task.kind.as_str().into());
    shown.insert("status".into(), task.status.as_str().into());
    shown.insert("owner".into(), json!(task.owner));
    shown.insert("created_at".into(), seconds(task.created_at).into());
    shown.insert("updated_at".into(), seconds(task.updated_at).into());
    shown.insert("self".into(), format!("{TASKS}/{}", task.id).into());
    shown.insert("schema".into(), "/v2/schemas/task".into());
    if let Some(at) = task.expires_at {
        shown.insert("expires_at".into(), seconds(at).into());
    }
    shown
}

/// All that there is to tell of a task.
fn whole(task: &Task) -> Map<String, Value> {
    let mut shown = brief(task);
    shown.insert("input".into(), task.input.clone());
    shown.insert("result".into(), json!(task.result));
    shown.insert("message".into(), task.message.as_str().into());
    shown.insert("image_id".into(), task.image.as_str().into());
    shown.insert("request_id".into(), task.request_id.as_str().into());
    if let Some(user) = &task.user {
        shown.insert("user_id".into(), user.as_str().into());
    }
    shown
}

/// The same as an image's tasks are told, which is how Glance's database has them.
fn in_full(task: &Task, own: bool) -> Value {
    let (input, user) = if own { (&task.input, task.user.as_deref()) } else { (&Value::Null, None) };
    json!({
        "id": task.id,
        "type": task.kind.as_str(),
        "status": task.status.as_str(),
        "owner": task.owner,
        "expires_at": task.expires_at.map(microseconds),
        "created_at": microseconds(task.created_at),
        "updated_at": microseconds(task.updated_at),
        "deleted_at": null,
        "deleted": false,
        "image_id": task.image.as_str(),
        "request_id": task.request_id,
        "user_id": user,
        "input": input,
        "result": task.result,
        "message": task.message,
    })
}

fn seconds(at: i64) -> String {
    moment(at, "%Y-%m-%dT%H:%M:%SZ")
}

fn microseconds(at: i64) -> String {
    moment(at, "%Y-%m-%dT%H:%M:%S.%6f")
}

fn moment(at: i64, format: &str) -> String {
    jiff::Timestamp::from_microsecond(at).map(|at| at.strftime(format).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_whole_seconds_or_microseconds_without_a_zone() {
        assert_eq!(seconds(1_234_567), "1970-01-01T00:00:01Z");
        assert_eq!(microseconds(1_234_567), "1970-01-01T00:00:01.234567");
        assert_eq!(microseconds(2_000_000), "1970-01-01T00:00:02.000000");
    }

    #[test]
    fn every_bad_value_of_a_list_is_told_by_its_name() {
        let settings = Settings::default();
        for query in [
            "limit=-1",
            "limit=x",
            "marker=x",
            "status=done",
            "type=api_image_import",
            "sort_key=message",
            "sort_dir=up",
        ] {
            let fault = read(&Params::read(query).unwrap(), &settings).unwrap_err();
            let key = query.split('=').next().unwrap();
            assert_eq!(fault.status(), StatusCode::BAD_REQUEST);
            assert!(fault.message().starts_with(key), "{query}: {}", fault.message());
        }
        let query = read(&Params::read("sort_key=type&sort_dir=asc&limit=9999").unwrap(), &settings).unwrap();
        assert_eq!((query.sort, query.descending, query.limit), (TaskSort::Kind, false, 1000));
    }

    #[test]
    fn a_new_task_must_say_all_that_it_needs() {
        let good = json!({"type": "import", "input": {
            "import_from": "https://a.example/x", "import_from_format": "raw", "image_properties": {"name": "n"},
        }});
        assert_eq!(wanted(&good).unwrap(), ("https://a.example/x".to_owned(), json!({"name": "n"})));
        for (pointer, value) in [
            ("/type", json!("export")),
            ("/type", json!(1)),
            ("/input", json!([])),
            ("/input/import_from", Value::Null),
            ("/input/import_from_format", Value::Null),
            ("/input/image_properties", json!("x")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(wanted(&bad).unwrap_err().status(), StatusCode::BAD_REQUEST, "{pointer}");
        }
    }
}
