//! Large content on the disk: kept over a restart, never wrong, bounded, and done without where it does not work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{json, Value};
use stagedoor_dataplane::policy::cache::Purge;

use super::{answer, ask, configured, ok, service, status, text};
use crate::door::{until, Client, Door};
use crate::endpoint::Endpoint;

/// A directory of its own, gone afterwards.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("stagedoor-cache-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Every file of responses with that ending.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let folders =
            fs::read_dir(self.cache()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let mut files: Vec<PathBuf> = folders
            .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
            .filter(|path| path.extension().is_some_and(|each| each == ending))
            .collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn with_disk(folder: &Path, endpoint: &Endpoint, changes: Value, size: u64) -> Value {
    let mut changes = changes;
    changes["object_bytes"] = json!(64 << 20);
    let mut snapshot = configured(endpoint, changes, 2);
    snapshot["cache"] =
        json!({"memory_bytes": 1 << 20, "disk": {"path": folder, "size_bytes": size, "from_bytes": 10_000}});
    snapshot
}

fn open(folder: &Folder, endpoint: &Endpoint, changes: Value) -> Door {
    Door::open(with_disk(&folder.cache(), endpoint, changes, 1 << 30))
}

/// Content that differs by seed and place.
fn content(seed: u64, length: usize) -> String {
    let mut text = String::with_capacity(length + 20);
    let mut number = seed;
    while text.len() < length {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{number:x} "));
    }
    text.truncate(length);
    text
}

/// `/LENGTH/SEED` is so much content; a request of another method says that it is done.
fn contents(fields: &'static str) -> Endpoint {
    service(move |head, _| {
        if !head.starts_with("GET") {
            return ok("", "");
        }
        let mut parts = head.split(' ').nth(1).unwrap()[1..].split('/');
        let (length, seed) = (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap());
        ok(fields, &content(seed, length))
    })
}

const FRESH: &str = "Cache-Control: max-age=600|ETag: \"v1\"";

fn entries(door: &Door) -> (u64, u64) {
    let level = door.server.shared.cache.level();
    (level.entries, level.disk.entries)
}

/// Stored by now: content goes on to clients before all of it is written.
fn get(door: &Door, client: &mut Client, path: &str) {
    let before = entries(door).1;
    let got = ask(client, &format!("GET {path}"), "");
    assert_eq!(got.status(), 200);
    until("it is stored", || entries(door).1 > before);
}

fn hit(client: &mut Client, path: &str, fields: &str) -> bool {
    status(&ask(client, &format!("GET {path}"), fields)).contains("; hit")
}

#[test]
fn large_content_is_on_the_disk_and_survives_a_restart() {
    let (folder, endpoint) = (Folder::new(), contents(FRESH));
    let lengths = [10_000, 65_535, 65_536, 65_537, 1_000_000];
    let door = open(&folder, &endpoint, json!({}));
    let mut client = door.client();
    lengths.iter().for_each(|length| get(&door, &mut client, &format!("/{length}/1")));
    ask(&mut client, "GET /9999/1", "");
    assert_eq!(entries(&door), (1, 5));
    let modes =
        |files: &[PathBuf]| files.iter().all(|file| fs::metadata(file).unwrap().permissions().mode() & 0o777 == 0o600);
    let (heads, bodies) = (folder.files("head"), folder.files("body"));
    assert!(modes(&heads) && modes(&bodies) && modes(&[folder.cache().join("lock"), folder.cache().join("groups")]));
    assert_eq!(fs::metadata(folder.cache()).unwrap().permissions().mode() & 0o777, 0o700);
    drop((client, door));
    let door = open(&folder, &endpoint, json!({}));
    until("all is found again", || entries(&door).1 == 5);
    let mut client = door.client();
    for length in lengths {
        let got = ask(&mut client, &format!("GET /{length}/1"), "");
        assert!(status(&got).contains("; hit"), "{}", status(&got));
        assert!(text(&got) == content(1, length), "{length}");
        assert_eq!(got.field("etag").as_deref(), Some("\"v1\""));
        let part = ask(&mut client, &format!("GET /{length}/1"), "Range: bytes=9000-");
        assert_eq!((part.status(), text(&part) == content(1, length)[9000..]), (206, true));
        assert_eq!(ask(&mut client, &format!("GET /{length}/1"), "If-None-Match: \"v1\"").status(), 304);
    }
    let parts = ask(&mut client, "GET /1000000/1", "Range: bytes=65530-65540, -3");
    let whole = content(1, 1_000_000);
    assert!(text(&parts).contains(&format!("bytes 65530-65540/1000000\r\n\r\n{}\r\n", &whole[65_530..=65_540])));
    assert!(text(&parts).contains(&format!("bytes 999997-999999/1000000\r\n\r\n{}\r\n", &whole[999_997..])));
    assert_eq!(endpoint.requests(), 6);
}

#[test]
fn what_is_invalid_is_invalid_after_a_restart() {
    let fresh = "Cache-Control: max-age=600, stale-while-revalidate=600|Cache-Groups: \"named\"";
    let (folder, endpoint) = (Folder::new(), contents(fresh));
    let settings = json!({"groups": ["declared"], "invalidates": ["written"]});
    let paths: Vec<String> = (0..6).map(|seed| format!("/20000/{seed}")).collect();
    type Act = fn(&Door, &mut Client);
    let acts: [(&str, Act, usize); 7] = [
        ("nothing", |_, _| (), 6),
        ("a url", |door, _| assert_eq!(door.server.purge(&Purge::Url("http://shop.example/20000/0"), false), Ok(1)), 5),
        (
            "a prefix",
            |door, _| assert_eq!(door.server.purge(&Purge::Prefix("http://shop.example/20000"), false), Ok(6)),
            0,
        ),
        ("a group", |door, _| assert_eq!(door.server.purge(&Purge::Group("named"), false), Ok(6)), 0),
        ("another group", |door, _| assert_eq!(door.server.purge(&Purge::Group("other"), false), Ok(0)), 6),
        ("a write", |_, client| assert_eq!(ask(client, "DELETE /20000/3", "Content-Length: 0").status(), 200), 5),
        ("all", |door, _| assert_eq!(door.server.purge(&Purge::All, false), Ok(6)), 0),
    ];
    for (what, act, left) in acts {
        let door = open(&folder, &endpoint, settings.clone());
        assert_eq!(door.server.purge(&Purge::All, false).map(|_| ()), Ok(()));
        let mut client = door.client();
        paths.iter().for_each(|path| get(&door, &mut client, path));
        act(&door, &mut client);
        drop((client, door));
        let door = open(&folder, &endpoint, settings.clone());
        let mut client = door.client();
        // All is loaded when a purge returns.
        door.server.purge(&Purge::Group("unknown"), false).unwrap();
        assert_eq!(paths.iter().filter(|path| hit(&mut client, path, "")).count(), left, "{what}");
    }
}

#[test]
fn a_group_that_a_write_invalidates_and_a_soft_purge_hold_after_a_restart() {
    let fresh = "Cache-Control: max-age=600, stale-while-revalidate=600";
    let (folder, endpoint) = (Folder::new(), contents(fresh));
    let settings = json!({"groups": ["items"], "invalidates": ["items"]});
    let reopened = |act: &dyn Fn(&Door, &mut Client)| {
        let door = open(&folder, &endpoint, settings.clone());
        let mut client = door.client();
        get(&door, &mut client, "/20000/1");
        act(&door, &mut client);
        drop((client, door));
        let door = open(&folder, &endpoint, settings.clone());
        door.server.purge(&Purge::Group("unknown"), false).unwrap();
        let told = status(&ask(&mut door.client(), "GET /20000/1", ""));
        door.server.purge(&Purge::All, false).unwrap();
        told
    };
    let told = reopened(&|_, client| drop(ask(client, "POST /elsewhere", "Content-Length: 0")));
    assert!(told.contains("uri-miss"), "{told}");
    let told = reopened(&|door, _| drop(door.server.purge(&Purge::Url("http://shop.example/20000/1"), true)));
    assert!(told.contains("stale-while-revalidate"), "{told}");
    let told = reopened(&|door, _| drop(door.server.purge(&Purge::Group("items"), true)));
    assert!(told.contains("stale-while-revalidate"), "{told}");
}

/// Whatever happens to the files: the right content, or none.
#[test]
fn damage_is_found_and_the_response_is_asked_for_again() {
    type Damage = fn(&Folder);
    let damages: [(&str, Damage); 8] = [
        ("a head", |folder| change(&folder.files("head")[0], |bytes| bytes[60] ^= 1)),
        ("half a head", |folder| change(&folder.files("head")[0], |bytes| bytes.truncate(50))),
        ("no content", |folder| fs::remove_file(&folder.files("body")[0]).unwrap()),
        ("half the content", |folder| change(&folder.files("body")[0], |bytes| bytes.truncate(100_000))),
        ("a torn first block", |folder| change(&folder.files("body")[0], |bytes| bytes[1000..60_000].fill(0))),
        ("a wrong sum", |folder| change(&folder.files("body")[0], |bytes| bytes[65_536] ^= 1)),
        ("the content of another", |folder| {
            let bodies = folder.files("body");
            let (one, other) = (fs::read(&bodies[0]).unwrap(), fs::read(&bodies[1]).unwrap());
            fs::write(&bodies[0], other).unwrap();
            fs::write(&bodies[1], one).unwrap();
        }),
        ("the head of another", |folder| {
            let heads = folder.files("head");
            let (one, other) = (fs::read(&heads[0]).unwrap(), fs::read(&heads[1]).unwrap());
            fs::write(&heads[0], other).unwrap();
            fs::write(&heads[1], one).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (folder, endpoint) = (Folder::new(), contents(FRESH));
        let door = open(&folder, &endpoint, json!({}));
        let mut client = door.client();
        (1..3).for_each(|seed| get(&door, &mut client, &format!("/200000/{seed}")));
        drop((client, door));
        damage(&folder);
        let door = open(&folder, &endpoint, json!({}));
        door.server.purge(&Purge::Group("unknown"), false).unwrap();
        let mut client = door.client();
        for seed in 1..3 {
            let got = ask(&mut client, &format!("GET /200000/{seed}"), "");
            assert!((got.status(), text(&got) == content(seed, 200_000)) == (200, true), "{what}");
        }
        assert!(endpoint.requests() > 2, "{what}");
        assert!(door.server.shared.cache.level().disk.damaged > 0, "{what}");
        until("it is stored again", || folder.files("head").len() == 2 && folder.files("body").len() == 2);
    }
}

fn change(file: &Path, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    how(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Found too late to answer otherwise: the answer is cut off, and never goes on with wrong bytes.
#[test]
fn damage_behind_the_beginning_cuts_the_answer_off() {
    let (folder, endpoint) = (Folder::new(), contents(FRESH));
    let door = open(&folder, &endpoint, json!({}));
    get(&door, &mut door.client(), "/400000/1");
    change(&folder.files("body")[0], |bytes| bytes[200_000] ^= 1);
    let mut client = door.client();
    client.send(b"GET /400000/1 HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let (bytes, _) = client.rest();
    let whole = content(1, 400_000);
    let sent = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|end| &bytes[end + 4..]).unwrap();
    assert!(sent.len() < 400_000 && whole.as_bytes().starts_with(sent), "{}", sent.len());
    let again = ask(&mut door.client(), "GET /400000/1", "");
    assert!(text(&again) == whole && status(&again).contains("fwd="), "{}", status(&again));
}

#[test]
fn files_of_a_process_that_was_killed_are_cleared_away() {
    let (folder, endpoint) = (Folder::new(), contents(FRESH));
    let door = open(&folder, &endpoint, json!({}));
    get(&door, &mut door.client(), "/20000/1");
    drop(door);
    let part = folder.files("head")[0].parent().unwrap().to_owned();
    for orphan in ["0123456789abcdef.body", "0123456789abcdef.new", "notes.txt"] {
        fs::write(part.join(orphan), "left behind").unwrap();
    }
    // What belongs to somebody else is not touched.
    fs::write(folder.cache().join("README"), "mine").unwrap();
    fs::write(folder.cache().join("groups"), "{\"at\":3,\"group\":\"a\"}\n{\"at\":4,\"gro").unwrap();
    let door = open(&folder, &endpoint, json!({}));
    door.server.purge(&Purge::Group("unknown"), false).unwrap();
    assert!(hit(&mut door.client(), "/20000/1", ""));
    assert_eq!(
        (folder.files("head").len(), folder.files("body").len(), fs::read_dir(part).unwrap().count()),
        (1, 1, 2)
    );
    assert!(folder.cache().join("README").exists());
    let lines = fs::read_to_string(folder.cache().join("groups")).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    drop(door);
    // What was invalidated is not known any more: nothing is trusted.
    fs::write(folder.cache().join("groups"), "nonsense\n{\"at\":4,\"group\":\"a\"}\n").unwrap();
    let door = open(&folder, &endpoint, json!({}));
    door.server.purge(&Purge::Group("unknown"), false).unwrap();
    assert!(!hit(&mut door.client(), "/20000/1", ""));
}

#[test]
fn the_directory_is_of_one_process_and_nobody_needs_it_to_serve() {
    let (folder, endpoint) = (Folder::new(), contents(FRESH));
    let first = open(&folder, &endpoint, json!({}));
    let second = open(&folder, &endpoint, json!({}));
    let level = |door: &Door| door.server.shared.cache.level().disk;
    assert!(level(&first).up && !level(&second).up && level(&second).failures == 1);
    for _ in 0..2 {
        let got = ask(&mut second.client(), "GET /20000/1", "");
        assert!(text(&got) == content(1, 20_000) && !status(&got).contains("; hit"));
    }
    drop((first, second));
    // Not a directory, and one that cannot be written any more while it is used.
    fs::write(folder.0.join("file"), "").unwrap();
    let door = Door::open(with_disk(&folder.0.join("file"), &endpoint, json!({}), 1 << 20));
    assert_eq!(text(&ask(&mut door.client(), "GET /20000/1", "")), content(1, 20_000));
    assert!(!level(&door).up);
    drop(door);
    let door = open(&folder, &endpoint, json!({}));
    fs::remove_dir_all(folder.cache()).unwrap();
    fs::write(folder.cache(), "").unwrap();
    for seed in 2..4 {
        let got = ask(&mut door.client(), &format!("GET /300000/{seed}"), "");
        assert!(text(&got) == content(seed, 300_000));
    }
    until("it is told", || level(&door).failures > 0);
    assert!(!level(&door).up && level(&door).entries == 0);
}

#[test]
fn the_bound_in_bytes_holds_and_content_is_right_under_pressure() {
    let (folder, endpoint) = (Folder::new(), contents(FRESH));
    let door = Door::open(with_disk(&folder.cache(), &endpoint, json!({}), 2 << 20));
    std::thread::scope(|scope| {
        for worker in 0..4u64 {
            let door = &door;
            scope.spawn(move || {
                let mut client = door.client();
                for step in 0..60u64 {
                    let seed = (step * 7919 + worker * 104_729) % 23;
                    let length = 30_000 + seed as usize * 9000;
                    let got = ask(&mut client, &format!("GET /{length}/{seed}"), "");
                    assert!(text(&got) == content(seed, length), "{length} {seed}");
                    assert!(door.server.shared.cache.level().disk.bytes <= 2 << 20);
                }
            });
        }
    });
    let level = door.server.shared.cache.level().disk;
    assert!(level.evicted > 0 && level.entries > 5, "{level:?}");
    // What gave way is gone from the directory, too.
    until("the files are gone", || {
        let bytes: u64 =
            folder.files("body").iter().filter_map(|file| fs::metadata(file).ok()).map(|data| data.len()).sum();
        bytes <= 2 << 20
    });
}

/// One fetch, of which nothing stays in memory; who comes late or is slow reads what is written by then.
#[test]
fn followers_of_large_content_get_all_of_it_while_it_comes_in() {
    let folder = Folder::new();
    let whole = content(7, 3_000_000);
    let (begin, rest) = (whole[..1_500_000].to_owned(), whole[1_500_000..].to_owned());
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n");
            connection.send(format!("{:x}\r\n{begin}\r\n", begin.len()).as_bytes());
            gate.lock().unwrap().recv().unwrap();
            connection.send(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).as_bytes());
        }
    });
    let door = open(&folder, &endpoint, json!({}));
    let ask_for = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let mut clients: Vec<Client> = (0..10).map(|_| door.client()).collect();
    clients[..5].iter_mut().for_each(|client| assert!(client.send(ask_for)));
    // The first half has gone by.
    while clients[0].unread.len() < 1_400_000 {
        clients[0].read().unwrap();
    }
    clients[5..].iter_mut().for_each(|client| assert!(client.send(ask_for)));
    while clients[9].unread.len() < 1_000_000 {
        clients[9].read().unwrap();
    }
    release.send(()).unwrap();
    for client in &mut clients {
        assert!(text(&client.answer()) == whole);
    }
    assert_eq!(endpoint.requests(), 1);
    until("it is stored", || entries(&door).1 == 1);
    assert!(text(&ask(&mut door.client(), "GET /a", "")) == whole);
}

#[test]
fn a_freshened_head_is_found_again_and_confidential_keys_stay_in_memory() {
    let folder = Folder::new();
    let endpoint = service(|head, number| match number {
        0 => ok("Cache-Control: max-age=60|Age: 90|ETag: \"v1\"|X-A: 1", &content(1, 20_000)),
        1 => answer("304 Not Modified", "Cache-Control: max-age=600|ETag: \"v1\"|X-A: 2", ""),
        _ if head.contains("cookie: ") => ok("Cache-Control: max-age=60|Vary: Cookie", &content(2, 20_000)),
        _ => ok("", "never"),
    });
    let door = open(&folder, &endpoint, json!({}));
    let mut client = door.client();
    get(&door, &mut client, "/a");
    assert_eq!(ask(&mut client, "GET /a", "").field("x-a").as_deref(), Some("2"));
    ask(&mut client, "GET /b", "Cookie: secret=1");
    assert!(hit(&mut client, "/b", "Cookie: secret=1"));
    assert_eq!(entries(&door), (1, 1));
    drop((client, door));
    let door = open(&folder, &endpoint, json!({}));
    until("it is found again", || entries(&door).1 == 1);
    let got = ask(&mut door.client(), "GET /a", "");
    assert!(status(&got).contains("; hit") && text(&got) == content(1, 20_000));
    assert_eq!(got.field("x-a").as_deref(), Some("2"));
    assert!(folder.files("head").iter().all(|file| !fs::read_to_string(file).unwrap().contains("secret")));
}

#[test]
fn another_directory_takes_over_at_a_reload_and_the_old_one_is_emptied() {
    let (folder, endpoint) = (Folder::new(), contents(FRESH));
    let door = open(&folder, &endpoint, json!({}));
    let mut client = door.client();
    get(&door, &mut client, "/20000/1");
    let other = with_disk(&folder.0.join("other"), &endpoint, json!({}), 1 << 20);
    door.server.apply(&serde_json::from_value(other).unwrap()).unwrap();
    assert_eq!(entries(&door).1, 0);
    get(&door, &mut client, "/20000/1");
    until("the old one is empty", || folder.files("head").is_empty() && folder.files("body").is_empty());
    let mut none = with_disk(&folder.0.join("other"), &endpoint, json!({}), 1 << 20);
    none["cache"]["disk"] = Value::Null;
    door.server.apply(&serde_json::from_value(none).unwrap()).unwrap();
    assert_eq!(entries(&door), (0, 0));
    ask(&mut client, "GET /20000/1", "");
    assert!(hit(&mut client, "/20000/1", ""));
}
