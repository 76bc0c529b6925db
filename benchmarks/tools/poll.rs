//! Waiting for sockets with a time-out finer than a millisecond, which the standard library has not.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy)]
struct Event {
    events: u32,
    data: u64,
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn epoll_create1(flags: i32) -> RawFd;
    fn epoll_ctl(epoll: RawFd, operation: i32, socket: RawFd, event: *mut Event) -> i32;
    fn epoll_pwait2(epoll: RawFd, events: *mut Event, most: i32, timeout: *const Timespec, mask: *const u8) -> i32;
    fn prctl(option: i32, value: u64, ...) -> i32;
}
const EPOLL_CTL_ADD: i32 = 1;
const EPOLLIN: u32 = 1;
const PR_SET_TIMERSLACK: i32 = 29;
const MOST: usize = 64;

pub struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    /// Time-outs of this thread end within microseconds from now on, rather than within 50 of them.
    pub fn new() -> io::Result<Self> {
        // SAFETY: neither call takes a pointer; the descriptor is new, and checked before it is owned.
        let epoll = unsafe {
            prctl(PR_SET_TIMERSLACK, 1_u64);
            OwnedFd::from_raw_fd(checked(epoll_create1(0))?)
        };
        Ok(Self { epoll })
    }

    /// Tells by `key` when there is something to read.
    pub fn add(&self, socket: &impl AsRawFd, key: usize) -> io::Result<()> {
        let mut event = Event { events: EPOLLIN, data: key as u64 };
        // SAFETY: the event lives through the call, which copies it.
        checked(unsafe { epoll_ctl(self.epoll.as_raw_fd(), EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event) })?;
        Ok(())
    }

    /// The keys of sockets that can be read; none when the time is over.
    pub fn wait(&self, longest: Duration) -> io::Result<Vec<usize>> {
        let mut events = [Event { events: 0, data: 0 }; MOST];
        let timeout = Timespec { seconds: longest.as_secs() as i64, nanoseconds: longest.subsec_nanos().into() };
        // SAFETY: room for MOST events is given, and the time-out lives through the call; no mask is passed.
        let ready = checked(unsafe {
            epoll_pwait2(self.epoll.as_raw_fd(), events.as_mut_ptr(), MOST as i32, &timeout, std::ptr::null())
        })?;
        Ok(events[..ready as usize].iter().map(|event| event.data as usize).collect())
    }
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
