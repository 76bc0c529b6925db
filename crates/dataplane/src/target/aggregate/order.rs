//! Which call comes after which.

use crate::snapshot::AggregateCall;

/// Of each call the positions of those that it is to come after, and of all that have ended by then.
pub struct Order {
    pub after: Vec<Vec<usize>>,
    pub before: Vec<Vec<usize>>,
}

impl Order {
    /// Every mistake goes to `wrong` with the position of its call.
    pub fn compile(calls: &[AggregateCall], wrong: &mut Vec<(usize, String)>) -> Self {
        let position = |name: &str| calls.iter().position(|call| call.name == name);
        let mut after = Vec::with_capacity(calls.len());
        for (index, call) in calls.iter().enumerate() {
            let mut positions = Vec::new();
            for name in &call.after {
                match position(name) {
                    Some(other) if other == index => wrong.push((index, "it cannot come after itself".to_owned())),
                    Some(other) => positions.push(other),
                    None => wrong.push((index, format!("there is no call '{name}'"))),
                }
            }
            after.push(positions);
        }
        let before: Vec<Vec<usize>> = (0..calls.len()).map(|index| reach(&after, index)).collect();
        for (index, call) in calls.iter().enumerate().filter(|(index, _)| before[*index].contains(index)) {
            let circle: Vec<&str> = (0..calls.len())
                .filter(|other| before[index].contains(other) && before[*other].contains(&index))
                .map(|other| calls[other].name.as_str())
                .collect();
            // Told once, at the first of them.
            if circle.first() == Some(&call.name.as_str()) {
                wrong.push((index, format!("these calls wait for each other: {}", circle.join(", "))));
            }
        }
        Self { after, before }
    }
}

/// All that is reached from there by one step or more.
fn reach(after: &[Vec<usize>], from: usize) -> Vec<usize> {
    let mut found: Vec<usize> = after[from].clone();
    let mut next = 0;
    while let Some(index) = found.get(next).copied() {
        next += 1;
        let more: Vec<usize> = after[index].iter().copied().filter(|other| !found.contains(other)).collect();
        found.extend(more);
    }
    found
}
