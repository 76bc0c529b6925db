//! Serves a snapshot from a file until the process is ended: the data plane without a control plane.
//!
//! `cargo run --release --example serve -- snapshot.json`

use std::error::Error;

use stagedoor_dataplane::server::Server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: serve SNAPSHOT.json")?;
    let server = Server::start(&serde_json::from_str(&std::fs::read_to_string(path)?)?)?;
    for (name, address) in server.addresses() {
        println!("{name} http://{address}");
    }
    loop {
        std::thread::park();
    }
}
