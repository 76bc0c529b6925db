//! Members in the order that the schema has.

use super::given::Given;
use super::{Encoder, Fault, TEXT};
use crate::policy::translate::soap::json::Json;
use crate::policy::translate::soap::types::{Complex, Element, Particle, Term};

impl Encoder<'_> {
    pub(super) fn particle(&mut self, particle: &Particle, given: &mut Given<'_>) -> Result<(), Fault> {
        match &particle.term {
            Term::Element(element) => self.elements(element, particle, given),
            Term::Any => self.others(given),
            Term::Sequence(each) => {
                for turn in 0..particle.max {
                    let before = given.taken();
                    if turn >= particle.min.min(1) && !given.remains(particle) {
                        break;
                    }
                    each.iter().try_for_each(|each| self.particle(each, given))?;
                    // What takes nothing would do so for ever.
                    if given.taken() == before {
                        break;
                    }
                }
                Ok(())
            }
            Term::Choice(each) => {
                for turn in 0..particle.max {
                    let before = given.taken();
                    match each.iter().find(|each| given.remains(each)) {
                        Some(chosen) => self.particle(chosen, given)?,
                        None if turn < particle.min && !each.iter().any(is_emptiable) => {
                            let names: Vec<&str> = particle.names.iter().take(20).map(|name| &**name).collect();
                            return Err(self.wrong(&format!("one of {} is required", names.join(", "))));
                        }
                        None => {
                            // An element of any kind may be what is chosen.
                            let any = each.iter().find(|each| matches!(each.term, Term::Any));
                            return any.map_or(Ok(()), |any| self.particle(any, given));
                        }
                    }
                    if given.taken() == before {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    fn elements(&mut self, element: &Element, particle: &Particle, given: &mut Given<'_>) -> Result<(), Fault> {
        let mut count = 0;
        while count < particle.max {
            let Some((value, index)) = given.next(&element.name) else { break };
            if *value == Json::Null && !element.nillable && particle.min == 0 {
                // As if it were not there.
                continue;
            }
            self.place.push(element.name.to_string());
            let listed = index.map(|index| self.place.push(index.to_string()));
            self.element(element, value)?;
            listed.iter().for_each(|()| drop(self.place.pop()));
            self.place.pop();
            count += 1;
        }
        if count >= particle.min {
            return Ok(());
        }
        match &element.fixed {
            Some(fixed) if count == 0 => self.element(element, &Json::Text(fixed.to_string())),
            _ => self.within(element.name.to_string(), |this| {
                Err(this.wrong(&match particle.min {
                    1 => "it is required".to_owned(),
                    least => format!("at least {least} are required, there are {count}"),
                }))
            }),
        }
    }

    pub(super) fn nothing_left(&self, complex: &Complex, given: &Given<'_>) -> Result<(), Fault> {
        let known = || {
            let names: Vec<&str> = complex.order.iter().take(20).map(|name| &**name).collect();
            match names.is_empty() {
                true => "it is not known here: nothing is".to_owned(),
                false => format!("it is not known here; known are {}", names.join(", ")),
            }
        };
        let at = |name: &str, what: String| {
            let mut fault = self.wrong(&what);
            fault.place.push('/');
            fault.place.push_str(&name.replace('~', "~0").replace('/', "~1"));
            Err(fault)
        };
        if let Some((name, _)) = given.others.first() {
            return at(name, known());
        }
        if given.text.is_some() && !complex.mixed {
            return at(TEXT, known());
        }
        match given.members.iter().find(|member| member.taken < member.values.len()) {
            None => Ok(()),
            Some(member) if member.taken == 0 => at(member.name, "it does not go together with the others".to_owned()),
            Some(member) => at(member.name, format!("there are more than {}", member.taken)),
        }
    }
}

fn is_emptiable(particle: &Particle) -> bool {
    particle.min == 0
        || match &particle.term {
            Term::Element(_) => false,
            Term::Any => true,
            Term::Sequence(each) => each.iter().all(is_emptiable),
            Term::Choice(each) => each.iter().any(is_emptiable),
        }
}
