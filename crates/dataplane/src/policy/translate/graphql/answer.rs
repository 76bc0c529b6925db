//! The service's answer as the client's: its data, or an error of its errors.

use std::rc::Rc;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use rustc_hash::FxHashMap;
use serde_json::{json, Value as Json};
use stagedoor_expression::{Template, Value};

use crate::error::{Error, Kind};
use crate::evaluation::evaluate_with;
use crate::policy::transform::content::rewrite;
use crate::policy::validate::{json as strict, media};
use crate::protocol::body::Body;
use crate::worker::Worker;

/// Errors of an answer that are told.
pub const MOST: usize = 16;

/// What becomes of an answer.
pub struct Rules {
    /// Steps into the data.
    pub pick: Vec<Box<str>>,
    /// jq over what is picked.
    pub body: Option<Template>,
    /// Data beside errors will do.
    pub partial: bool,
    /// Where what is picked is null.
    pub missing: u16,
    pub status: u16,
    /// By `extensions.code`.
    pub statuses: FxHashMap<Box<str>, u16>,
    /// Content of requests and answers.
    pub most: usize,
}

pub struct Back {
    pub rules: Arc<Rules>,
    /// As expressions see it.
    pub request: Value,
}

impl Back {
    pub async fn on_answer(self, worker: &Rc<Worker>, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let (mut head, body) = answer.into_parts();
        let (data, errors) = self.read(head.status, &media::declared(&head.headers).unwrap_or_default(), body).await?;
        let picked = self.rules.pick.iter().try_fold(&data, |value, step| value.get(&**step)).unwrap_or(&Json::Null);
        if !errors.is_empty() && (picked.is_null() || !self.rules.partial) {
            return Err(self.failed(&errors));
        }
        if picked.is_null() {
            let detail = "There is nothing of this kind";
            return Err(Error::new(Kind::NothingFound, detail).status(self.rules.missing));
        }
        let content = match &self.rules.body {
            None => picked.to_string().into_bytes(),
            Some(template) => {
                let failed =
                    |cause: String| Error::new(Kind::ExpressionFailed, "The answer could not be made").cause(cause);
                let value =
                    |json: &Json| stagedoor_expression::json::parse(json.to_string().as_bytes()).map_err(failed);
                let variables = [value(&errors.into())?, self.request];
                let made = evaluate_with(worker, template, &value(picked)?, &variables).await.map_err(failed)?;
                stagedoor_expression::json::write(&made)
            }
        };
        rewrite(&mut head.headers);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.status = StatusCode::from_u16(self.rules.status).unwrap_or(StatusCode::OK);
        Ok(Response::from_parts(head, Body::full(content)))
    }

    /// Data and errors, whatever the status: services differ in what they send with errors.
    async fn read(&self, status: StatusCode, declared: &str, mut body: Body) -> Result<(Json, Vec<Json>), Error> {
        let bad = |why: String| {
            let cause = format!("translate: graphql: {status}: {why}");
            Error::new(Kind::BadReply, "The service did not answer as GraphQL does").cause(cause)
        };
        if !matches!(declared, "application/json" | "application/graphql-response+json") {
            return Err(bad(format!("its content is of the type '{declared}'")));
        }
        let content = body.peek(self.rules.most).await?;
        let content = content.ok_or_else(|| bad(format!("it is larger than {} bytes", self.rules.most)))?;
        let Json::Object(mut members) = strict::parse(&content).map_err(|why| bad(format!("its content {why}")))?
        else {
            return Err(bad("it is no object".to_owned()));
        };
        let data = members.shift_remove("data").unwrap_or(Json::Null);
        let errors = match members.shift_remove("errors") {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::Array(errors)) => errors,
            Some(_) => return Err(bad("its errors are no list".to_owned())),
        };
        match data.is_null() && errors.is_empty() {
            true => Err(bad("it has neither data nor errors".to_owned())),
            false => Ok((data, errors)),
        }
    }

    /// The status of the first error that has one.
    fn failed(&self, errors: &[Json]) -> Error {
        let code = |error: &Json| error["extensions"]["code"].as_str().map(str::to_owned);
        let status = errors.iter().filter_map(code).find_map(|code| self.rules.statuses.get(&*code).copied());
        let told = errors.iter().take(MOST).map(|error| {
            let mut told = json!({"detail": error["message"].as_str().unwrap_or_default()});
            if error["path"].is_array() {
                told["path"] = error["path"].clone();
            }
            if let Some(code) = code(error) {
                told["code"] = code.into();
            }
            told
        });
        let detail = errors[0]["message"].as_str().unwrap_or("The service tells no reason").to_owned();
        let error = Error::new(Kind::GraphqlFailed, detail).errors(told.collect());
        match status {
            Some(status) => error.status(status),
            None => error,
        }
    }
}
