//! What policies cost a request, without network: nanoseconds of `Policies::on_request` and `transform`, as a Markdown table.
//!
//! `cargo run --release -p stagedoor-dataplane --example policy_cost`

use std::error::Error;
use std::hint::black_box;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use serde_json::{json, Value};
use stagedoor_dataplane::exchange::Exchange;
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::protocol::body::Body;
use stagedoor_dataplane::route::Found;
use stagedoor_dataplane::shared::Shared;
use stagedoor_dataplane::worker::Worker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error>;
/// Tokens that have not been seen, for what a verification costs.
const FRESH: usize = 2_000;
const ROUNDS: usize = 5;
const SECRET: &str = "a secret of more than sixty-four bytes, so that it is enough for HS512 too";
const KEY: &str = "a-key-of-thirty-two-characters-x";

struct Bench {
    program: Arc<Program>,
    worker: Rc<Worker>,
    peer: SocketAddr,
    /// JSON that each request brings along.
    content: Option<Bytes>,
}

impl Bench {
    fn new(issuers: &Value, policies: &Value, documents: &Value) -> Result<Self, Failure> {
        Self::of_api(issuers, policies, documents, &Value::Null)
    }

    /// `api`: to which the route belongs.
    fn of_api(issuers: &Value, policies: &Value, documents: &Value, api: &Value) -> Result<Self, Failure> {
        use sha2::{Digest, Sha256};
        let digest: String = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
        let snapshot = serde_json::from_value(json!({
            "workers": 1, "listeners": {}, "clusters": {}, "issuers": issuers, "documents": documents,
            "consumers": {"web": {"api_key_sha256": [digest], "groups": ["staff"], "scopes": ["read", "write"]}},
            "apis": if api.is_null() { json!({}) } else { json!({"shop": api}) },
            "routes": {"items": {
                "api": if api.is_null() { Value::Null } else { json!({"api": "shop"}) },
                "match": {"hosts": [], "path": "/items/{id}", "methods": [], "headers": {}, "query": {}},
                "priority": 0, "policies": policies,
                "target": {"response": {"status": 200, "headers": {}, "body": ""}},
            }},
        }))?;
        let shared = Arc::new(Shared::new(1));
        let program = Program::compile(&snapshot, &shared).map_err(|errors| errors.join("\n"))?;
        let served = Arc::new(ArcSwap::from_pointee(program));
        Ok(Self {
            worker: Worker::new(0, shared, served.clone()),
            program: served.load_full(),
            peer: "127.0.0.1:1".parse()?,
            content: None,
        })
    }

    /// Nanoseconds of each request, each with the next of `fields`.
    async fn run(&self, fields: &[(&'static str, String)], count: usize) -> Result<f64, Failure> {
        let mut total = 0;
        for index in 0..count {
            let (name, value) = &fields[index % fields.len()];
            let method = if self.content.is_some() { "POST" } else { "GET" };
            let request = Request::builder().method(method).uri("/items/42").header("host", "h");
            let request = request.header("content-type", "application/json").header(*name, value).body(())?;
            let (mut head, ()) = request.into_parts();
            let target = head.uri.path_and_query().cloned().ok_or("a target")?;
            let host = HeaderValue::from_static("h");
            let mut exchange = Exchange::new(Instant::now(), self.peer, head.method.clone(), host, target);
            let Found::Route { route, params } = self.program.routes.find("h", exchange.path(), &head) else {
                return Err("no route".into());
            };
            (exchange.route, exchange.params) = (Some(route.clone()), params);
            let mut body = self.content.clone().map_or_else(Body::empty, Body::full);
            let begin = Instant::now();
            let flow = route.policies.on_request(&mut exchange, &mut head, &mut body, &self.worker).await;
            if let Some(version) = &route.policies.version {
                let request = version.up(&self.worker, &mut exchange, Request::from_parts(head, body)).await;
                (head, body) = request.map_err(|error| format!("refused: {error}"))?.into_parts();
                if version.lowers(&exchange) {
                    // The service says what it was told.
                    let mut answer = Response::new(body);
                    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
                    let answer = version.down(&self.worker, &mut exchange, answer).await;
                    black_box(answer.map_err(|error| format!("refused: {error}"))?);
                    body = Body::empty();
                }
            }
            if route.policies.transforms() {
                let request = Request::from_parts(head, body);
                let made = route.policies.transform(&self.worker, &mut exchange, request).await;
                black_box(made.map_err(|error| format!("refused: {error}"))?);
            }
            total += begin.elapsed().as_nanos();
            black_box(flow.map_err(|error| format!("refused: {error}"))?);
        }
        Ok(total as f64 / count as f64)
    }
}

fn tokens(key: &SigningKey, algorithm: Algorithm, count: usize) -> Result<Vec<(&'static str, String)>, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = base64url::encode(json!({"alg": algorithm.name(), "typ": "at+jwt"}).to_string());
    let token = |index: usize| {
        let claims = json!({
            "iss": "https://issuer.example", "sub": format!("user-{index}"), "aud": "shop", "exp": now + 3600,
            "iat": now, "jti": format!("{index:032x}"), "client_id": "app", "scope": "read write",
        });
        let signed = format!("{header}.{}", base64url::encode(claims.to_string()));
        let signature = key.sign(algorithm, signed.as_bytes()).map_err(|_| "not signed")?;
        Ok(("authorization", format!("Bearer {signed}.{}", base64url::encode(signature))))
    };
    (0..count).map(token).collect()
}

/// A description, and content of 2 KiB that is as it says.
fn order() -> (Value, Bytes) {
    let line = json!({
        "type": "object", "required": ["sku", "count", "price"], "additionalProperties": false,
        "properties": {
            "sku": {"type": "string", "pattern": "^[a-z]+-[0-9]+$"}, "count": {"type": "integer", "minimum": 1},
            "price": {"type": "number", "minimum": 0}, "note": {"type": "string", "maxLength": 200},
        },
    });
    let document = json!({
        "openapi": "3.1.0",
        "paths": {"/items/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
            "post": {"requestBody": {"required": true, "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Order"},
            }}}},
        }},
        "components": {"schemas": {"Line": line, "Order": {
            "type": "object", "required": ["customer", "lines"],
            "properties": {
                "customer": {"type": "string", "minLength": 1}, "state": {"enum": ["open", "sent"]},
                "mail": {"type": "string", "format": "email"},
                "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Line"}},
            },
        }}},
    });
    let lines: Vec<Value> = (0..20)
        .map(|index| json!({"sku": format!("tea-{index:04}"), "count": 2, "price": 4.5, "note": "n".repeat(48)}))
        .collect();
    let content = json!({"customer": "web", "state": "open", "mail": "ali@shop.example", "lines": lines});
    (document, content.to_string().into())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let key = vec![("x-api-key", KEY.to_owned())];
    let api_key = json!({"any": [{"api_key": {"header": "x-api-key", "query": null}}]});
    let measure = |issuers: &Value, policies: &Value, fields: &[(&'static str, String)], count: usize| {
        let rounds =
            (0..ROUNDS).map(|_| runtime.block_on(Bench::new(issuers, policies, &json!({}))?.run(fields, count)));
        rounds.collect::<Result<Vec<f64>, Failure>>().map(median)
    };
    println!("| policies of the route | ns a request |\n|---|---|");
    let authorize = |must: Value| json!({"must": must, "any": [], "none": [], "opa": null});
    for (name, policies) in [
        ("none", json!({})),
        ("api_key", json!({"authenticate": api_key})),
        ("api_key + scopes", json!({"authenticate": api_key, "authorize": authorize(json!({"scopes": ["read"]}))})),
        (
            "api_key + a CEL rule (method, path, group, header)",
            json!({"authenticate": api_key, "authorize": authorize(json!({"cel":
                "request.method == 'GET' && request.path.startsWith('/items/') && 'staff' in consumer.groups && 'host' in request.headers"}))}),
        ),
        (
            "api_key + a CEL rule with a pattern",
            json!({"authenticate": api_key, "authorize": authorize(json!({"cel": "request.params.id.matches('^[0-9]+$')"}))}),
        ),
    ] {
        println!("| {name} | {:.0} |", measure(&json!({}), &policies, &key, 200_000)?);
    }
    let (document, content) = order();
    let policies = json!({"validate": {
        "openapi": "shop", "schema": null, "base_path": null, "content_types": [], "unknown": false,
        "body_bytes": 65536, "responses": null,
    }});
    let rounds = (0..ROUNDS).map(|_| {
        let mut bench = Bench::new(&json!({}), &policies, &json!({"shop": document}))?;
        bench.content = Some(content.clone());
        runtime.block_on(bench.run(&key, 20_000))
    });
    let cost = median(rounds.collect::<Result<Vec<f64>, Failure>>()?);
    println!("| validate, OpenAPI, a body of {} bytes | {cost:.0} |", content.len());
    let shape = |mask: Value| json!({"pick": [], "deny": [], "rename": {}, "mask": mask});
    let nothing = json!({"remove": [], "set": {}});
    for (name, filter, mask) in [
        ("jq over two fields", json!("{customer, total: (.lines | map(.count * .price) | add)}"), json!([])),
        ("a field of every line masked", Value::Null, json!(["lines.note"])),
    ] {
        let policies = json!({"transform_request": {
            "method": null, "path": null, "query": nothing, "headers": nothing, "content": {
                "filter": filter, "shape": shape(mask), "write": null, "body_bytes": 65536, "refuse_other": true,
            },
        }});
        let rounds = (0..ROUNDS).map(|_| {
            let mut bench = Bench::new(&json!({}), &policies, &json!({}))?;
            bench.content = Some(content.clone());
            runtime.block_on(bench.run(&key, 20_000))
        });
        let cost = median(rounds.collect::<Result<Vec<f64>, Failure>>()?);
        println!("| transform_request, {name}, a body of {} bytes | {cost:.0} |", content.len());
    }
    let step = |to: &str, (old, new): (&str, &str)| {
        let rename = |from: &str, to: &str| json!({"pick": [], "deny": [], "rename": {from: to}, "mask": []});
        let content = |shape: Value| json!({"filter": null, "shape": shape, "write": null, "body_bytes": 65536, "refuse_other": false});
        json!({"to": to, "changes": {
            "up": {"method": null, "path": null, "query": nothing, "headers": nothing, "content": content(rename(old, new))},
            "down": {"statuses": [], "status": null, "headers": nothing, "problems": false, "content": content(rename(new, old))},
        }})
    };
    let versions = json!({
        "marker": {"header": "shop-version"}, "strip": false, "default": "v3", "fallback": null, "unknown": 400,
        "marker_over_pin": true, "versions": [
            {"name": "v1", "deprecated": 1, "step": step("v2", ("customer", "buyer"))},
            {"name": "v2", "step": step("v3", ("buyer", "client"))}, {"name": "v3"},
        ],
    });
    for (name, version, content) in [
        ("a version by header", "v3", None),
        ("two steps up and down by fields", "v1", Some(&content)),
        ("the same content without steps", "v3", Some(&content)),
    ] {
        let count = if content.is_some() { 20_000 } else { 200_000 };
        let field = vec![("shop-version", version.to_owned())];
        let rounds = (0..ROUNDS).map(|_| {
            let mut bench = Bench::of_api(&json!({}), &json!({}), &json!({}), &versions)?;
            bench.content = content.cloned();
            runtime.block_on(bench.run(&field, count))
        });
        println!("| version, {name} | {:.0} |", median(rounds.collect::<Result<Vec<f64>, Failure>>()?));
    }
    let pair = |algorithm| -> Result<SigningKey, Failure> {
        Ok(SigningKey::from_pem(&rcgen::KeyPair::generate_for(algorithm)?.serialize_pem())?)
    };
    for (algorithm, key) in [
        (Algorithm::Hs256, SigningKey::from_secret(SECRET.as_bytes())?),
        (Algorithm::Rs256, pair(&rcgen::PKCS_RSA_SHA256)?),
        (Algorithm::Es256, pair(&rcgen::PKCS_ECDSA_P256_SHA256)?),
        (Algorithm::EdDsa, pair(&rcgen::PKCS_ED25519)?),
    ] {
        let jwks = key.public().map(|public| json!({"keys": [public.to_jwk()]}).to_string());
        let secret = if jwks.is_none() { json!(SECRET) } else { Value::Null };
        let issuers = json!({"issuer": {
            "issuer": "https://issuer.example", "algorithms": [algorithm.name()], "jwks": jwks, "public_keys": [],
            "secret": secret,
        }});
        let policies = json!({"authenticate": {"any": [{"jwt": {
            "issuers": ["issuer"], "audience": ["shop"], "types": ["at+jwt"], "skew_s": 30, "required": {},
            "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null, "headers": {}},
            "max_bytes": 16384, "forward": false,
        }}]}});
        let fresh = tokens(&key, algorithm, FRESH)?;
        let name = algorithm.name();
        println!("| jwt, {name}, never seen | {:.0} |", measure(&issuers, &policies, &fresh, FRESH)?);
        println!("| jwt, {name}, remembered | {:.0} |", measure(&issuers, &policies, &fresh[..1], 200_000)?);
    }
    Ok(())
}
