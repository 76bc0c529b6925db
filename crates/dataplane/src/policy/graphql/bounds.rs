//! How much a document may ask for.

use crate::error::{Error, Kind};
use crate::graphql::measure::Measure;
use crate::snapshot::GraphqlLimits;

pub struct Bounds(pub GraphqlLimits);

impl std::ops::Deref for Bounds {
    type Target = GraphqlLimits;

    fn deref(&self) -> &GraphqlLimits {
        &self.0
    }
}

impl Bounds {
    /// The first bound that does not hold.
    pub fn check(&self, measure: &Measure) -> Result<(), Error> {
        for (what, found, most) in [
            ("fields within each other", measure.depth, self.depth),
            ("fields", measure.fields, self.fields),
            ("aliases", measure.aliases, self.aliases),
            ("fields at its root", measure.root_fields, self.root_fields),
            ("directives", measure.directives, self.directives),
        ] {
            if found > most {
                return Err(Self::exceeded(what, most));
            }
        }
        Ok(())
    }

    pub fn check_cost(&self, cost: u64) -> Result<(), Error> {
        match cost > self.cost {
            false => Ok(()),
            true => {
                let detail = format!("The operation costs {cost}; {} are allowed", self.cost);
                Err(Error::new(Kind::OperationTooComplex, detail))
            }
        }
    }

    pub fn exceeded(what: &str, most: u64) -> Error {
        Error::new(Kind::OperationTooComplex, format!("The document has more than {most} {what}"))
    }
}
