//! The methods of a route.

use http::{HeaderValue, Method};

const KNOWN: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Empty is any method but TRACE, which must be named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodSet {
    known: u8,
    other: Vec<Method>,
}

/// How a set accepts a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// It is named, or any is.
    Explicitly,
    /// HEAD where GET is named (RFC 9110 §9.3.2).
    Implicitly,
    No,
}

fn bit(method: &Method) -> u8 {
    KNOWN.iter().position(|known| known == method).map_or(0, |index| 1 << index)
}

impl MethodSet {
    pub fn compile(names: &[String]) -> Result<Self, String> {
        let mut set = Self::default();
        for name in names {
            let method = Method::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is not a method"))?;
            if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(format!("the method '{name}' is not in upper case; methods are case-sensitive"));
            }
            if method == Method::CONNECT {
                return Err(format!("the gateway does not serve the method '{name}'"));
            }
            set.insert(&method);
        }
        Ok(set)
    }

    pub fn insert(&mut self, method: &Method) {
        match bit(method) {
            0 if self.other.contains(method) => {}
            0 => self.other.push(method.clone()),
            bit => self.known |= bit,
        }
    }

    pub fn insert_all(&mut self, other: &Self) {
        self.known |= other.known;
        for method in &other.other {
            self.insert(method);
        }
    }

    pub fn is_any(&self) -> bool {
        self.known == 0 && self.other.is_empty()
    }

    /// TRACE and no other.
    fn is_trace(&self) -> bool {
        self.known == 0 && self.other == [Method::TRACE]
    }

    pub fn accepts(&self, method: &Method) -> Accepts {
        if self.is_any() {
            return if method == Method::TRACE { Accepts::No } else { Accepts::Explicitly };
        }
        match bit(method) {
            0 if self.other.contains(method) => Accepts::Explicitly,
            0 => Accepts::No,
            bit if self.known & bit != 0 => Accepts::Explicitly,
            _ if method == Method::HEAD && self.known & self::bit(&Method::GET) != 0 => Accepts::Implicitly,
            _ => Accepts::No,
        }
    }

    /// Whether some method is in both.
    pub fn intersects(&self, other: &Self) -> bool {
        (self.is_any() && !other.is_trace())
            || (other.is_any() && !self.is_trace())
            || self.known & other.known != 0
            || self.other.iter().any(|method| other.other.contains(method))
    }

    /// Whether every method that `other` accepts is accepted here.
    pub fn covers(&self, other: &Self) -> bool {
        let mut known = self.known;
        if known & bit(&Method::GET) != 0 {
            known |= bit(&Method::HEAD);
        }
        (self.is_any() && !other.other.contains(&Method::TRACE))
            || (!other.is_any()
                && other.known & !known == 0
                && other.other.iter().all(|method| self.other.contains(method)))
    }

    pub fn names(&self) -> Vec<&str> {
        let known = KNOWN.iter().filter(|method| self.known & bit(method) != 0);
        known.chain(&self.other).map(Method::as_str).collect()
    }

    /// For `Allow` (RFC 9110 §10.2.1): with HEAD where there is GET, and OPTIONS, which the gateway answers itself.
    pub fn allow(&self) -> HeaderValue {
        let mut all = self.clone();
        all.insert(&Method::OPTIONS);
        if all.known & bit(&Method::GET) != 0 {
            all.insert(&Method::HEAD);
        }
        // Methods are tokens, so this always is a valid value.
        HeaderValue::from_str(&all.names().join(", ")).unwrap_or(HeaderValue::from_static(""))
    }
}
