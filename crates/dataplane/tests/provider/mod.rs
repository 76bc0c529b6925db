//! An OpenID provider's token endpoint that checks what it is asked like a real one and answers as a test wants; every
//! other request is echoed, so that it plays the endpoint too.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use serde_json::{json, Value};
use sha2::{Digest as _, Sha256};
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey};

pub const ISSUER: &str = "https://login.example";

/// Of the next request; after it all is well again.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Right,
    /// The access token ends after so many seconds.
    EndsIn(u64),
    Changed(fn(&mut Value)),
    ForeignKey,
    Unsigned,
    NoIdToken,
    Refused,
    Unavailable,
    Nonsense,
    /// The connection, without a byte.
    Closed,
}

struct State {
    next: Answer,
    asked: usize,
    challenge: String,
    redirect_uri: String,
    nonce: String,
    refresh_token: Option<String>,
    authentication: String,
}

pub struct Provider {
    pub address: SocketAddr,
    key: Arc<SigningKey>,
    state: Arc<Mutex<State>>,
}

fn key() -> SigningKey {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    SigningKey::from_pem(&pair.serialize_pem()).expect("a key").with_id(Some("1"))
}

impl Provider {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            next: Answer::Right,
            asked: 0,
            challenge: String::new(),
            redirect_uri: String::new(),
            nonce: String::new(),
            refresh_token: None,
            authentication: "client_secret_basic".to_owned(),
        }));
        let key = Arc::new(key());
        let (signing, shared) = (key.clone(), state.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (key, state) = (signing.clone(), shared.clone());
                thread::spawn(move || serve(stream, &key, &state));
            }
        });
        Self { address, key, state }
    }

    pub fn jwks(&self) -> String {
        let mut jwk = self.key.public().expect("public").to_jwk();
        jwk["kid"] = json!("1");
        json!({"keys": [jwk]}).to_string()
    }

    /// Keeps what a browser was sent with, as the provider does while the user logs in.
    pub fn expect(&self, asked: &BTreeMap<String, String>) {
        let mut state = self.state.lock().expect("a state");
        state.challenge.clone_from(&asked["code_challenge"]);
        state.redirect_uri.clone_from(&asked["redirect_uri"]);
        state.nonce.clone_from(&asked["nonce"]);
    }

    pub fn next(&self, answer: Answer) {
        self.state.lock().expect("a state").next = answer;
    }

    pub fn authentication(&self, authentication: &str) {
        authentication.clone_into(&mut self.state.lock().expect("a state").authentication);
    }

    /// How often the token endpoint was asked.
    pub fn asked(&self) -> usize {
        self.state.lock().expect("a state").asked
    }
}

fn serve(mut stream: TcpStream, key: &SigningKey, state: &Mutex<State>) {
    let mut unread = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut unread) {
        let answer = match head.starts_with("POST /token ") {
            true => token(&head, &body, key, state),
            false => Some((200, head)),
        };
        let Some((status, text)) = answer else { return };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        if stream.write_all(format!("{head}{text}").as_bytes()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(String, String)> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(unread).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if rest.len() >= length {
                unread.drain(..head.len() + 4 + length);
                return Some((format!("{head}\r\n"), rest[..length].to_owned()));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => unread.extend_from_slice(&buffer[..count]),
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|pair| pair.1)
}

fn token(head: &str, body: &str, key: &SigningKey, state: &Mutex<State>) -> Option<(u16, String)> {
    let mut state = state.lock().expect("a state");
    state.asked += 1;
    let answer = std::mem::replace(&mut state.next, Answer::Right);
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().expect("text").into_owned();
    let form: BTreeMap<String, String> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let refused = Some((400, json!({"error": "invalid_grant"}).to_string()));
    match answer {
        Answer::Closed => return None,
        Answer::Unavailable => return Some((500, "{}".to_owned())),
        Answer::Nonsense => return Some((200, "<html>".to_owned())),
        Answer::Refused => return refused,
        _ => {}
    }
    let known = match state.authentication.as_str() {
        "client_secret_basic" => {
            let pair = base64::engine::general_purpose::STANDARD.encode("shop:s3cr%26t%20%2B");
            field(head, "authorization") == Some(&format!("Basic {pair}")) && !form.contains_key("client_secret")
        }
        "client_secret_post" => form["client_id"] == "shop" && form["client_secret"] == "s3cr&t +",
        _ => {
            form["client_id"] == "shop" && !form.contains_key("client_secret") && field(head, "authorization").is_none()
        }
    };
    let granted = match form["grant_type"].as_str() {
        "authorization_code" => {
            form["code"] == "the-code"
                && base64url::encode(Sha256::digest(&form["code_verifier"])) == state.challenge
                && form["redirect_uri"] == state.redirect_uri
        }
        // Each is taken once.
        "refresh_token" => state.refresh_token.take().as_ref() == form.get("refresh_token"),
        _ => false,
    };
    if !known || !granted {
        return refused;
    }
    let refresh_token = format!("refresh-{}", state.asked);
    state.refresh_token = Some(refresh_token.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let half = base64url::encode(&Sha256::digest("an-access-token")[..16]);
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "shop", "exp": now + 300, "iat": now, "groups": ["staff", "night"], "tenant": "blue",
        "at_hash": half, "nonce": state.nonce,
    });
    if let Answer::Changed(change) = answer {
        change(&mut claims);
    }
    let foreign = self::key();
    let id_token = match answer {
        Answer::Unsigned => {
            format!("{}.{}.", base64url::encode(r#"{"alg":"none"}"#), base64url::encode(claims.to_string()))
        }
        Answer::ForeignKey => sign(&foreign, &claims),
        _ => sign(key, &claims),
    };
    let ends_in = if let Answer::EndsIn(seconds) = answer { seconds } else { 300 };
    let mut tokens = json!({
        "access_token": "an-access-token", "token_type": "Bearer", "expires_in": ends_in, "refresh_token": refresh_token,
        "id_token": id_token,
    });
    if matches!(answer, Answer::NoIdToken) {
        tokens.as_object_mut().expect("a map").remove("id_token");
    }
    Some((200, tokens.to_string()))
}

fn sign(key: &SigningKey, claims: &Value) -> String {
    let header = json!({"alg": "ES256", "kid": "1"}).to_string();
    let signed = format!("{}.{}", base64url::encode(header), base64url::encode(claims.to_string()));
    let signature = key.sign(Algorithm::Es256, signed.as_bytes()).expect("signed");
    format!("{signed}.{}", base64url::encode(signature))
}
