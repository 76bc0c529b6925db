//! Unix-domain sockets: their paths, and the file that a listener makes and removes.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Bytes of a path, by the kernel's `sun_path` less its end.
const PATH_BYTES: usize = 107;

/// Stands for the address of a client on a Unix socket, which has none. No connection over TCP comes from here.
pub const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// An absolute path that a socket can have; what is wrong with it otherwise.
pub fn path(text: &str) -> Result<PathBuf, String> {
    match text.starts_with('/') && text.len() <= PATH_BYTES && !text.contains('\0') {
        true => Ok(PathBuf::from(text)),
        false => Err(format!("expected an absolute path of at most {PATH_BYTES} bytes")),
    }
}

/// A socket's file. Removed when this is dropped, unless somebody has put another in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device, number and time of making: a number is soon given to the next file. The time is the one that changes of mode
/// and owner leave alone.
type Identity = (u64, u64, i64, i64);

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

impl SocketFile {
    /// Binds and listens. A file that a listener has left behind is replaced; one on which somebody listens, or that is
    /// no socket, is an error. Nobody can connect before the mode is set.
    pub fn listen(path: &Path, mode: u32, backlog: i32) -> io::Result<(Self, UnixListener)> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = Self { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
        file.set_mode(mode)?;
        socket.listen(backlog)?;
        socket.set_nonblocking(true)?;
        Ok((file, socket.into()))
    }

    /// Permission bits.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |metadata: &fs::Metadata| identity(metadata) == self.identity;
        if fs::symlink_metadata(&self.path).as_ref().is_ok_and(ours) {
            // Whoever starts next replaces what is left.
            let _left = fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}
