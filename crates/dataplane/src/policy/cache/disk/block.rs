//! How content lies in its file: blocks, each followed by a checksum over the file's number, its own and its bytes. So a
//! block that was torn, changed, or belongs somewhere else is found before a byte of it is sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use flate2::Crc;

/// Of content; the last one of a file is shorter.
pub const BLOCK: usize = 64 * 1024;
const SUM: usize = 4;
/// Of the file system: nothing takes less.
const PAGE: u64 = 4096;

/// Of the content's file, to the byte.
pub fn file_bytes(length: u64) -> u64 {
    length + length.div_ceil(BLOCK as u64) * SUM as u64
}

/// What a response takes of the disk, its head included.
pub fn disk_bytes(length: u64) -> usize {
    usize::try_from(file_bytes(length).div_ceil(PAGE) * PAGE + PAGE).unwrap_or(usize::MAX)
}

fn offset(index: u64) -> u64 {
    index * (BLOCK + SUM) as u64
}

fn sum(id: u64, index: u64, data: &[u8]) -> [u8; SUM] {
    let mut crc = Crc::new();
    crc.update(&id.to_le_bytes());
    crc.update(&index.to_le_bytes());
    crc.update(data);
    crc.sum().to_le_bytes()
}

pub fn write(file: &File, id: u64, index: u64, mut data: Vec<u8>) -> io::Result<()> {
    let sum = sum(id, index, &data);
    data.extend_from_slice(&sum);
    file.write_all_at(&data, offset(index))
}

/// Of content that is `length` long. `InvalidData`: it is not what was written.
pub fn read(file: &File, id: u64, index: u64, length: u64) -> io::Result<Bytes> {
    let left = length.saturating_sub(index * BLOCK as u64).min(BLOCK as u64) as usize;
    let mut data = vec![0; left + SUM];
    file.read_exact_at(&mut data, offset(index))?;
    let told = data.split_off(left);
    if told != sum(id, index, &data) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a block does not match its checksum"));
    }
    Ok(data.into())
}
