//! Times of the week at which something is allowed.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::Timestamp;
use serde_json::{json, Value};

use crate::snapshot;

const DAY: u16 = 24 * 60;

#[derive(Debug)]
pub struct Window {
    /// By the day on which it begins, from Monday.
    days: [bool; 7],
    from: u16,
    to: u16,
    zone: TimeZone,
    name: String,
}

impl Window {
    pub fn new(settings: &snapshot::Window) -> Result<Self, String> {
        let zone = TimeZone::get(&settings.zone)
            .map_err(|_| format!("time: '{}' is not a time zone such as Europe/Berlin", settings.zone))?;
        if settings.from >= DAY || settings.to > DAY || settings.from == settings.to {
            return Err("time: it ends when it begins, or is not within a day".to_owned());
        }
        let mut days = [settings.days.is_empty(); 7];
        for day in &settings.days {
            *days.get_mut(usize::from(*day).wrapping_sub(1)).ok_or("time: a day is a number from 1 to 7")? = true;
        }
        Ok(Self { days, from: settings.from, to: settings.to, zone, name: settings.zone.clone() })
    }

    pub fn describe(&self) -> Value {
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let days: Vec<&str> = names.iter().zip(self.days).filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        json!({"days": days, "from": time(self.from), "to": time(self.to), "zone": self.name})
    }

    /// By the clock on the wall of its zone: on the day when clocks are set back an hour counts twice.
    pub fn contains(&self, now: Timestamp) -> bool {
        let local = now.to_zoned_datetime(self.zone.clone());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = self.on(local.weekday());
        match self.from < self.to {
            true => today && (self.from..self.to).contains(&minute),
            false => (today && minute >= self.from) || (self.on(local.weekday().previous()) && minute < self.to),
        }
    }

    fn on(&self, day: Weekday) -> bool {
        let index = usize::from(day.to_monday_zero_offset().unsigned_abs());
        self.days.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[u8], from: u16, to: u16, zone: &str) -> Window {
        Window::new(&snapshot::Window { days: days.to_vec(), from, to, zone: zone.to_owned() }).expect("a window")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn office_hours_are_those_of_the_zone_also_when_clocks_change() {
        let office = window(&[1, 2, 3, 4, 5], 8 * 60, 18 * 60, "Europe/Berlin");
        // Winter: UTC+1. The 23rd of November 2026 is a Monday.
        assert!(!office.contains(at("2026-11-23T06:59:59Z")));
        assert!(office.contains(at("2026-11-23T07:00:00Z")));
        assert!(!office.contains(at("2026-11-23T17:00:00Z")));
        // Summer: UTC+2.
        assert!(office.contains(at("2026-07-06T06:00:00Z")));
        assert!(!office.contains(at("2026-07-06T16:00:00Z")));
        // A Sunday.
        assert!(!office.contains(at("2026-11-22T10:00:00Z")));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = window(&[5], 22 * 60, 6 * 60, "UTC");
        assert!(night.contains(at("2026-11-27T22:00:00Z")));
        assert!(night.contains(at("2026-11-28T05:59:00Z")));
        assert!(!night.contains(at("2026-11-28T06:00:00Z")));
        assert!(!night.contains(at("2026-11-27T05:00:00Z")));
        assert!(!night.contains(at("2026-11-28T23:00:00Z")));
    }

    #[test]
    fn what_is_no_window_is_an_error() {
        for (days, from, to, zone) in
            [(vec![0], 0, 60, "UTC"), (vec![8], 0, 60, "UTC"), (vec![], 60, 60, "UTC"), (vec![], 0, 60, "Mars/Base")]
        {
            let settings = snapshot::Window { days, from, to, zone: zone.to_owned() };
            assert!(Window::new(&settings).is_err(), "{settings:?}");
        }
    }
}
