//! What tells responses apart, and attempts to get around it.

use serde_json::json;
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey};

use super::{ask, configured, door, ok, scripted, service, status, text};
use crate::door::Door;

/// Fields that a service may make its answer of, none of them in the key: none reaches it.
#[test]
fn nothing_that_is_not_in_the_key_reaches_the_service() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let door = door(
        &endpoint,
        json!({"query": {"names": ["page"]}, "vary_by": [{"header": "x-tenant"}], "forward": ["x-known"]}),
    );
    let mut client = door.client();
    let evil = "X-Forwarded-Host: evil|X-Forwarded-Scheme: evil|X-Forwarded-Port: 1|X-Forwarded-Prefix: /evil|X-Original-URL: /evil|\
        X-Rewrite-URL: /evil|X-HTTP-Method-Override: POST|X-HTTP-Method: evil|X-Host: evil|Forwarded: host=evil|Origin: http://evil|\
        User-Agent: evil|Referer: evil|X-Tenant: good|X-Known: good";
    let got = ask(&mut client, "GET /a?utm=evil&page=1", evil);
    assert_eq!(got.status(), 200);
    let seen = endpoint.text();
    assert!(!seen.contains("evil"), "{seen}");
    assert!(seen.starts_with("GET /a?page=1 HTTP/1.1\r\n"), "{seen}");
    for there in [
        "x-tenant: good",
        "x-known: good",
        "host: shop.example",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
    ] {
        assert!(seen.contains(there), "{there} in {seen}");
    }
    assert!(!seen.contains("x-forwarded-for"), "{seen}");
    assert!(status(&ask(&mut client, "GET /a?page=1", "X-Tenant: good")).contains("; hit"));
    assert!(!status(&ask(&mut client, "GET /a?page=1", "X-Tenant: other")).contains("; hit"));
    assert!(!status(&ask(&mut client, "GET /a?page=1", "")).contains("; hit"));
    // Content could make the answer, too: such a request goes past the cache.
    client.send(b"GET /b HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nevil");
    assert_eq!(status(&client.answer()), "stagedoor; fwd=bypass");
    assert!(status(&ask(&mut client, "GET /b", "")).contains("uri-miss"));
}

#[test]
fn what_an_answer_varies_by_is_told_to_the_service_after_all() {
    let endpoint = service(|head, _| {
        let tenant = head.lines().find_map(|line| line.strip_prefix("x-tenant: ")).unwrap_or("nobody").to_owned();
        ok("Cache-Control: max-age=60|Vary: X-Tenant", &tenant)
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for (tenant, asks) in [("a", 2), ("b", 3), ("a", 3), ("b", 3)] {
        assert_eq!(text(&ask(&mut client, "GET /", &format!("X-Tenant: {tenant}"))), tenant);
        assert_eq!(endpoint.requests(), asks);
    }
    assert_eq!(text(&ask(&mut client, "GET /", "")), "nobody");
}

/// Every pair is told apart, however its parts are cut.
#[test]
fn keys_do_not_collide() {
    let endpoint = service(|head, _| {
        let line = head.lines().next().unwrap().to_owned();
        let host = head.lines().find(|line| line.to_ascii_lowercase().starts_with("host:")).unwrap().to_owned();
        let fields: Vec<&str> = head.lines().filter(|line| line.starts_with("x-")).collect();
        ok("Cache-Control: max-age=60", &format!("{line} {host} {}", fields.join(";")))
    });
    let door = door(&endpoint, json!({"vary_by": [{"header": "x-a"}, {"header": "x-b"}], "query": "sorted"}));
    let mut client = door.client();
    let asks = [
        ("/a", "Host: b"),
        ("/b", "Host: a"),
        ("/", "Host: b:81"),
        ("/a?", "Host: b"),
        ("/a?b", "Host: b"),
        ("/a?b=", "Host: b"),
        ("/a%3Fb", "Host: b"),
        ("/a%3fb=", "Host: b"),
        ("/?x-a=1", "Host: b"),
        ("/v", "X-A: 1"),
        ("/v", "X-B: 1"),
        ("/v", "X-A: 1|X-B: 1"),
        ("/v", "X-A: 1, 1"),
        ("/v", "X-A: \"1, 1\""),
        ("/v", "X-A: 1\\, 1"),
        ("/v", "X-A: "),
        ("/v", "X-A: 1; X-B: 1"),
        ("/?a=1&a=2", "Host: b"),
        ("/?a=2&a=1", "Host: b"),
    ];
    for (path, fields) in asks {
        let got = ask(&mut client, &format!("GET {path}"), fields);
        assert!(status(&got).contains("uri-miss"), "{path} {fields}: {}", status(&got));
        assert!(status(&ask(&mut client, &format!("GET {path}"), fields)).contains("; hit"), "{path} {fields}");
    }
    assert!(status(&ask(&mut client, "GET /a", "Host: B:80")).contains("; hit"));
}

#[test]
fn consumers_go_past_the_cache_unless_they_are_told_apart_or_not_told() {
    let endpoint = service(|head, _| {
        let who = head.lines().find_map(|line| line.strip_prefix("x-consumer-id: ")).unwrap_or("nobody").to_owned();
        ok("Cache-Control: max-age=60", &who)
    });
    let key = |text: &str| {
        use sha2::Digest;
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for (changes, answers) in [
        (json!({}), ["one", "two", "one"]),
        (json!({"vary_by": ["consumer"]}), ["one", "two", "one"]),
        (json!({"share_consumers": true}), ["nobody", "nobody", "nobody"]),
    ] {
        let mut snapshot = configured(&endpoint, changes.clone(), 1);
        for name in ["one", "two"] {
            snapshot["consumers"][name] = json!({"api_key_sha256": [key(name)], "groups": []});
        }
        snapshot["routes"]["all"]["policies"]["authenticate"] =
            json!({"any": [{"api_key": {"header": "x-api-key", "query": null}}]});
        let door = Door::open(snapshot);
        let mut client = door.client();
        let mut hits = 0;
        for (who, expected) in ["one", "two", "one"].iter().zip(answers) {
            let got = ask(&mut client, "GET /", &format!("X-API-Key: {who}"));
            assert_eq!(text(&got), expected, "{changes}");
            hits += usize::from(status(&got).contains("; hit"));
        }
        assert_eq!(
            hits,
            usize::from(changes.get("vary_by").is_some()) + 2 * usize::from(changes.get("share_consumers").is_some()),
            "{changes}"
        );
    }
}

/// One response for all whose tokens say the same; of the claims the service is told these alone.
#[test]
fn a_claim_tells_responses_apart_and_no_other_claim_reaches_the_service() {
    let endpoint = service(|head, _| {
        let told = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none").to_owned();
        assert!(!head.contains("x-consumer") && !head.to_ascii_lowercase().contains("authorization"), "{head}");
        ok("Cache-Control: max-age=60", &format!("{} {}", told("x-tenant: "), told("x-mail: ")))
    });
    let secret = "a secret of more than sixty-four bytes, so that it is enough for every algorithm";
    let mut snapshot = configured(&endpoint, json!({"vary_by": [{"claim": "org.tenant"}], "share_consumers": true}), 1);
    snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(16_384);
    snapshot["issuers"] = json!({"corp": {
        "issuer": "corp", "algorithms": ["HS256"], "jwks": null, "public_keys": [], "secret": secret,
    }});
    snapshot["routes"]["all"]["policies"]["authenticate"] = json!({"any": [{"jwt": {
        "issuers": ["corp"], "audience": ["shop"], "types": [], "skew_s": 30, "required": {},
        "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null,
            "headers": {"x-tenant": "/org/tenant", "x-mail": "/mail"}},
        "max_bytes": 4096, "forward": false,
    }}]});
    let door = Door::open(snapshot);
    let key = SigningKey::from_secret(secret.as_bytes()).unwrap();
    let token = |subject: &str, org: serde_json::Value| {
        let claims =
            json!({"iss": "corp", "aud": "shop", "exp": 4_000_000_000u64, "sub": subject, "org": org, "mail": subject});
        let signed = [json!({"alg": "HS256"}), claims].map(|part| base64url::encode(part.to_string())).join(".");
        let signature = base64url::encode(key.sign(Algorithm::Hs256, signed.as_bytes()).unwrap());
        format!("Authorization: Bearer {signed}.{signature}|X-Tenant: forged|X-Mail: forged")
    };
    let mut client = door.client();
    for (subject, org, content, hit) in [
        ("ann", json!({"tenant": "blue"}), "blue none", false),
        ("bob", json!({"tenant": "blue"}), "blue none", true),
        ("eve", json!({"tenant": "red"}), "red none", false),
        ("ann", json!({"tenant": "blue", "more": 1}), "blue none", true),
        ("odd", json!({"tenant": ["blue"]}), "blue none", false),
        ("nil", json!({"tenant": null}), "none none", false),
        ("non", json!({}), "none none", false),
        ("non", json!("blue"), "none none", true),
    ] {
        let got = ask(&mut client, "GET /", &token(subject, org.clone()));
        assert_eq!((got.status(), text(&got).as_str()), (200, content), "{subject} {org}");
        assert_eq!(status(&got).contains("; hit"), hit, "{subject} {org}: {}", status(&got));
    }
}

#[test]
fn a_query_is_sorted_or_selected_by_rule() {
    for (rule, asks) in [
        (json!("sorted"), [("b=2&a=1", "a=1&b=2", false), ("a=1&b=2", "a=1&b=2", true), ("a=2&a=1", "a=2&a=1", false)]),
        (
            json!({"names": ["b", "a"]}),
            [("b=2&x=3&a=1", "a=1&b=2", false), ("a=1&b=2", "a=1&b=2", true), ("x=3", "", false)],
        ),
        (json!({"names": []}), [("b=2", "", false), ("", "", true), ("a=1&b", "", true)]),
        (json!("all"), [("b=2&a=1", "b=2&a=1", false), ("a=1&b=2", "a=1&b=2", false), ("b=2&a=1", "b=2&a=1", true)]),
    ] {
        let endpoint = service(|head, _| ok("Cache-Control: max-age=60", head.split(' ').nth(1).unwrap()));
        let door = door(&endpoint, json!({"query": rule}));
        let mut client = door.client();
        for (query, told, hit) in asks {
            let target = |query: &str| if query.is_empty() { "/p".to_owned() } else { format!("/p?{query}") };
            let got = ask(&mut client, &format!("GET {}", target(query)), "");
            assert_eq!((text(&got), status(&got).contains("; hit")), (target(told), hit), "{rule} {query}");
        }
    }
}

/// What one caller's request is made into must not be another's answer.
#[test]
fn transformations_see_no_more_of_a_caller_than_the_cache_lets_through() {
    let endpoint = service(|head, _| {
        let told = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none").to_owned();
        ok("Cache-Control: max-age=60", &format!("{} {}", told("x-who: "), told("x-lang: ")))
    });
    use sha2::Digest;
    let key: String = sha2::Sha256::digest("one").iter().map(|byte| format!("{byte:02x}")).collect();
    let mut snapshot = configured(&endpoint, json!({"share_consumers": true}), 1);
    snapshot["consumers"]["one"] = json!({"api_key_sha256": [key], "groups": []});
    let policies = &mut snapshot["routes"]["all"]["policies"];
    policies["authenticate"] = json!({"any": [{"api_key": {"header": "x-api-key", "query": null}}]});
    let set = json!({
        "x-who": "${ $request.consumer.id // \"nobody\" }", "x-lang": "${ $request.headers[\"x-lang\"] // \"any\" }",
    });
    policies["transform_request"] = json!({
        "method": null, "path": null, "query": {"remove": [], "set": {}}, "headers": {"remove": [], "set": set},
        "content": {"filter": null, "shape": {"pick": [], "deny": [], "rename": {}}, "write": null,
            "body_bytes": 1024, "refuse_other": false},
    });
    let door = Door::open(snapshot);
    let mut client = door.client();
    let got = ask(&mut client, "GET /", "X-API-Key: one\r\nX-Lang: de");
    assert_eq!(text(&got), "nobody any");
    assert!(status(&ask(&mut client, "GET /", "X-API-Key: one")).contains("; hit"));
}

#[test]
fn variants_of_a_key_are_bounded() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60|Vary: X-A", "hello")]);
    let door = door(&endpoint, json!({"variants": 3}));
    let mut client = door.client();
    for value in 0..10 {
        ask(&mut client, "GET /", &format!("X-A: {value}"));
    }
    assert_eq!(door.server.shared.cache.level().entries, 3);
    assert!(status(&ask(&mut client, "GET /", "X-A: 9")).contains("; hit"));
    assert!(status(&ask(&mut client, "GET /", "X-A: 1")).contains("vary-miss"));
}
