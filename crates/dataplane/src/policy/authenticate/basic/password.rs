//! What is kept of a password: a hash of argon2id (RFC 9106) or bcrypt, whose cost is bounded before it serves.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// Memory of one verification, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// KiB times passes of one verification: about a second of a slow core.
const WORK_KIB: u32 = 1024 * 1024;
const LANES: u32 = 16;
/// Each step more doubles the time; at 13 it is about half a second.
const BCRYPT_COST: u32 = 13;
/// bcrypt reads no more of a password.
const BCRYPT_BYTES: usize = 72;

pub struct Password {
    hash: Hash,
    /// Tells this hash from every other, without telling it.
    pub fingerprint: [u8; 32],
}

enum Hash {
    Argon2 { params: Params, salt: Vec<u8>, output: Vec<u8> },
    Bcrypt(Box<str>),
}

impl Password {
    /// The mistakes never show the hash.
    pub fn new(text: &str) -> Result<Self, String> {
        let hash = match text.strip_prefix("$argon2id$") {
            Some(rest) => argon2id(rest)?,
            None if ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version)) => bcrypt(text)?,
            None => return Err("the hash begins neither with $argon2id$ nor with $2b$".to_owned()),
        };
        Ok(Self { hash, fingerprint: Sha256::digest(text).into() })
    }

    /// Like that of a user of whom nothing is known, for those who are none.
    pub fn stand_in() -> Self {
        let (params, salt, output) = (Params::DEFAULT, vec![0; 16], vec![0; 32]);
        Self { hash: Hash::Argon2 { params, salt, output }, fingerprint: [0; 32] }
    }

    /// Takes as long as the hash costs, whatever the password.
    pub fn verify(&self, password: &str) -> bool {
        match &self.hash {
            Hash::Argon2 { params, salt, output } => {
                let mut found = vec![0; output.len()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let made = argon2.hash_password_into(password.as_bytes(), salt, &mut found);
                made.is_ok() && found.ct_eq(output).into()
            }
            Hash::Bcrypt(hash) => {
                let read = &password.as_bytes()[..password.len().min(BCRYPT_BYTES)];
                let same = bcrypt::verify(read, hash).unwrap_or(false);
                // What lies beyond is not part of the hash: anything would do there.
                same && password.len() < BCRYPT_BYTES
            }
        }
    }
}

/// What is kept of a new password: argon2id of the costs that are usual (19 MiB, two passes, one lane) with a salt of 128
/// random bits.
pub fn hash(password: &str) -> Result<String, String> {
    let failed = || "the password cannot be hashed".to_owned();
    let (mut salt, mut output) = ([0; 16], [0; 32]);
    rand::fill(&mut salt).map_err(|_| failed())?;
    let params = Params::DEFAULT;
    let costs = format!("m={},t={},p={}", params.m_cost(), params.t_cost(), params.p_cost());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), &salt, &mut output).map_err(|_| failed())?;
    Ok(format!("$argon2id$v=19${costs}${}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output)))
}

/// `v=19$m=…,t=…,p=…$salt$hash`, as the PHC string format has it.
fn argon2id(rest: &str) -> Result<Hash, String> {
    let wrong = || "the hash is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash".to_owned();
    let parts: Vec<&str> = rest.split('$').collect();
    let [version, costs, salt, output] = parts[..] else { return Err(wrong()) };
    let mut numbers = costs.split(',');
    let mut number = |name: &str| -> Option<u32> {
        let digits = numbers.next()?.strip_prefix(name)?.strip_prefix('=')?;
        Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
    };
    let (Some(memory), Some(passes), Some(lanes)) = (number("m"), number("t"), number("p")) else {
        return Err(wrong());
    };
    let (salt, output) = (STANDARD_NO_PAD.decode(salt), STANDARD_NO_PAD.decode(output));
    let (Ok(salt), Ok(output)) = (salt, output) else { return Err(wrong()) };
    if version != "v=19" || numbers.next().is_some() || !(8..=64).contains(&salt.len()) {
        return Err(wrong());
    }
    if !(16..=64).contains(&output.len()) {
        return Err("the hash is not 16 to 64 bytes long".to_owned());
    }
    if memory > MEMORY_KIB {
        return Err(format!("the hash needs {memory} KiB of memory; at most {MEMORY_KIB} are allowed"));
    }
    if memory.checked_mul(passes).is_none_or(|work| work > WORK_KIB) {
        return Err(format!("the hash takes too long: m times t is more than {WORK_KIB}"));
    }
    if lanes > LANES {
        return Err(format!("the hash has {lanes} lanes; at most {LANES} are allowed"));
    }
    let params = Params::new(memory, passes, lanes, Some(output.len())).map_err(|_| wrong())?;
    Ok(Hash::Argon2 { params, salt, output })
}

fn bcrypt(text: &str) -> Result<Hash, String> {
    let parts: bcrypt::HashParts =
        text.parse().map_err(|_| "the hash is not of the form $2b$COST$ and 53 characters".to_owned())?;
    let cost = parts.get_cost();
    if !(4..=BCRYPT_COST).contains(&cost) {
        return Err(format!("the hash has a cost of {cost}; 4 to {BCRYPT_COST} are allowed"));
    }
    Ok(Hash::Bcrypt(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the reference implementation of argon2: `echo -n password | argon2 somesalt -id -t 2 -k 256 -p 1 -e`.
    const ARGON2ID: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    /// From the test vectors of jBCrypt, in the newer writing of the version.
    const BCRYPT: &str = "$2b$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";

    #[test]
    fn the_right_password_is_known_and_no_other() {
        let argon2id = Password::new(ARGON2ID).unwrap();
        assert!(argon2id.verify("password"));
        assert!(!argon2id.verify("passwort"));
        let bcrypt = Password::new(BCRYPT).unwrap();
        assert!(bcrypt.verify("a"));
        assert!(!bcrypt.verify("b"));
        assert!(!bcrypt.verify(""));
        assert!(!Password::stand_in().verify(""));
    }

    #[test]
    fn what_is_made_of_a_password_knows_it_and_is_never_the_same() {
        let made = [hash("correct horse").unwrap(), hash("correct horse").unwrap()];
        assert_ne!(made[0], made[1]);
        for text in &made {
            let password = Password::new(text).unwrap();
            assert!(password.verify("correct horse") && !password.verify("correct"));
        }
    }

    #[test]
    fn what_bcrypt_would_cut_off_is_not_passed_over() {
        let long = "x".repeat(71);
        let bcrypt = Password::new(&bcrypt::hash(&long, 4).unwrap()).unwrap();
        assert!(bcrypt.verify(&long));
        let cut = Password::new(&bcrypt::hash("x".repeat(72), 4).unwrap()).unwrap();
        assert!(!cut.verify(&"x".repeat(72)));
        assert!(!cut.verify(&"x".repeat(80)));
    }

    #[test]
    fn what_costs_too_much_or_is_no_hash_is_refused_without_showing_it() {
        let hash =
            |costs: &str| format!("$argon2id$v=19${costs}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
        for (text, expected) in [
            (hash("m=65537,t=1,p=1").as_str(), "the hash needs 65537 KiB of memory; at most 65536 are allowed"),
            (&hash("m=65536,t=17,p=1"), "the hash takes too long: m times t is more than 1048576"),
            (&hash("m=65536,t=4294967295,p=1"), "the hash takes too long: m times t is more than 1048576"),
            (&hash("m=256,t=1,p=17"), "the hash has 17 lanes; at most 16 are allowed"),
            (&hash("t=1,m=256,p=1"), "the hash is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash"),
            (&hash("m=256,t=1,p=1,x=1"), "the hash is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash"),
            (&ARGON2ID[..60], "the hash is not 16 to 64 bytes long"),
            ("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$x", "the hash begins neither with $argon2id$ nor with $2b$"),
            ("hunter2", "the hash begins neither with $argon2id$ nor with $2b$"),
            (&BCRYPT.replace("$06$", "$14$"), "the hash has a cost of 14; 4 to 13 are allowed"),
            (&BCRYPT[..59], "the hash is not of the form $2b$COST$ and 53 characters"),
        ] {
            assert_eq!(Password::new(text).err().as_deref(), Some(expected));
        }
        assert!(Password::new(&hash("m=65536,t=16,p=16")).is_ok());
    }
}
