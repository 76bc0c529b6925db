//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;
use std::sync::Arc;

use super::cells::{ClusterCells, Histogram, RouteCells, Statuses, BOUNDS};
use crate::api::usage::ApiUse;
use crate::policy::cache::{self, Use};
use crate::telemetry::access_log::Level;

#[derive(Default)]
pub struct Text(String);

impl Text {
    pub fn finish(self) -> String {
        self.0
    }

    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.sample(name, labels, format_args!("{value}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: std::fmt::Arguments<'_>) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for char in text.chars() {
                match char {
                    '"' => self.0.push_str("\\\""),
                    '\\' => self.0.push_str("\\\\"),
                    '\n' => self.0.push_str("\\n"),
                    _ => self.0.push(char),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn statuses(&mut self, name: &str, label: (&str, &str), statuses: &Statuses) {
        for (class, count) in Statuses::CLASSES.iter().zip(statuses.get()) {
            if count > 0 {
                self.line(name, &[label, ("status", class)], count);
            }
        }
    }

    fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let (buckets, micros) = histogram.get();
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        let mut total = 0;
        for (bound, count) in bounds.zip(buckets) {
            total += count;
            self.line(&format!("{name}_bucket"), &[label, ("le", bound)], total);
        }
        self.sample(&format!("{name}_sum"), &[label], format_args!("{}", micros as f64 / 1e6));
        self.line(&format!("{name}_count"), &[label], total);
    }

    pub fn routes(&mut self, routes: &[(&str, RouteCells)]) {
        let name = "stagedoor_requests_total";
        self.family(name, "counter", "Requests by route, empty where none matched, and class of status.");
        for (route, cells) in routes {
            self.statuses(name, ("route", route), &cells.statuses);
        }
        let name = "stagedoor_request_duration_seconds";
        self.family(name, "histogram", "From the end of a request's head to the end of its response.");
        for (route, cells) in routes {
            self.histogram(name, ("route", route), &cells.latency);
        }
        type Cell = fn(&RouteCells) -> u64;
        let counters: [(&str, &str, Cell); 3] = [
            ("stagedoor_request_bytes_total", "Bytes of request bodies.", |cells| cells.bytes_in.get()),
            ("stagedoor_response_bytes_total", "Bytes of response bodies.", |cells| cells.bytes_out.get()),
            ("stagedoor_rate_limited_total", "Requests refused by a rate limit.", |cells| cells.rate_limited.get()),
        ];
        for (name, help, cell) in counters {
            self.family(name, "counter", help);
            for (route, cells) in routes {
                self.line(name, &[("route", route)], cell(cells));
            }
        }
        let name = "stagedoor_cache_requests_total";
        self.family(name, "counter", "Requests of routes with a cache, by how they were answered.");
        for (route, cells) in routes {
            for (how, cell) in Use::ALL.iter().zip(&cells.cache).filter(|(_, cell)| cell.get() > 0) {
                self.line(name, &[("route", route), ("result", how.as_str())], cell.get());
            }
        }
    }

    pub fn apis(&mut self, apis: &[(Arc<str>, Arc<ApiUse>)]) {
        let name = "stagedoor_api_requests_total";
        self.family(name, "counter", "Requests by version of an API and consumer, by whether the version was served.");
        for (api, used) in apis {
            for (version, callers) in used.versions() {
                for one in callers.used() {
                    let labels = [("api", &**api), ("version", &*version), ("consumer", &*one.consumer)];
                    for (result, count) in [("served", one.served), ("refused", one.refused)] {
                        if count > 0 {
                            self.line(name, &[labels[0], labels[1], labels[2], ("result", result)], count);
                        }
                    }
                }
            }
        }
        let name = "stagedoor_api_unknown_versions_total";
        self.family(name, "counter", "Requests for versions that an API does not have.");
        for (api, used) in apis {
            self.line(name, &[("api", api)], used.unknown());
        }
    }

    pub fn cache(&mut self, level: cache::Level) {
        for (name, kind, help, value) in [
            ("stagedoor_cache_entries", "gauge", "Responses in the cache.", level.entries),
            ("stagedoor_cache_bytes", "gauge", "Bytes that they take.", level.bytes),
            ("stagedoor_cache_evicted_total", "counter", "Responses that gave way to others.", level.evicted),
        ] {
            self.family(name, kind, help);
            self.line(name, &[], value);
        }
        // Where there is none, there is nothing to tell.
        let disk = level.disk;
        for (name, kind, help, value) in [
            ("stagedoor_cache_disk_up", "gauge", "Whether the cache's directory can be used.", u64::from(disk.up)),
            ("stagedoor_cache_disk_entries", "gauge", "Responses in it.", disk.entries),
            ("stagedoor_cache_disk_bytes", "gauge", "Bytes that they take of it.", disk.bytes),
            ("stagedoor_cache_disk_evicted_total", "counter", "Responses in it that gave way to others.", disk.evicted),
            ("stagedoor_cache_disk_failures_total", "counter", "Reads and writes that failed.", disk.failures),
            (
                "stagedoor_cache_disk_damaged_total",
                "counter",
                "Responses that were not what was written.",
                disk.damaged,
            ),
            ("stagedoor_cache_disk_refused_total", "counter", "Responses not stored: too many at once.", disk.refused),
        ]
        .into_iter()
        .filter(|_| disk.limit > 0)
        {
            self.family(name, kind, help);
            self.line(name, &[], value);
        }
    }

    pub fn tunnels<'a>(&mut self, routes: impl Iterator<Item = (&'a str, usize)>) {
        let name = "stagedoor_tunnels";
        self.family(name, "gauge", "Upgraded connections that are open or being asked for.");
        for (route, open) in routes {
            self.line(name, &[("route", route)], open as u64);
        }
    }

    pub fn clusters(&mut self, clusters: &[(&str, ClusterCells)]) {
        let name = "stagedoor_cluster_requests_total";
        self.family(name, "counter", "Calls by cluster and class of status, 'none' where no answer came.");
        for (cluster, cells) in clusters {
            self.statuses(name, ("cluster", cluster), &cells.statuses);
            if cells.unanswered.get() > 0 {
                self.line(name, &[("cluster", cluster), ("status", "none")], cells.unanswered.get());
            }
        }
        let name = "stagedoor_cluster_request_duration_seconds";
        self.family(name, "histogram", "From the begin of a call to the head of its answer, retries included.");
        for (cluster, cells) in clusters {
            self.histogram(name, ("cluster", cluster), &cells.latency);
        }
        type Cell = fn(&ClusterCells) -> u64;
        let counters: [(&str, &str, &str, Cell); 3] = [
            ("stagedoor_cluster_retries_total", "counter", "Calls sent again.", |cells| cells.retries.get()),
            ("stagedoor_cluster_ejections_total", "counter", "Endpoints left out for failing.", |cells| {
                cells.ejections.get()
            }),
            ("stagedoor_cluster_connections", "gauge", "Open connections to endpoints.", |cells| {
                cells.connected.get().saturating_sub(cells.disconnected.get())
            }),
        ];
        for (name, kind, help, cell) in counters {
            self.family(name, kind, help);
            for (cluster, cells) in clusters {
                self.line(name, &[("cluster", cluster)], cell(cells));
            }
        }
    }

    /// Route, call, and how often each outcome.
    pub fn calls<'a>(&mut self, calls: impl Iterator<Item = (&'a str, &'a str, [(&'static str, u64); 3])>) {
        let name = "stagedoor_aggregate_calls_total";
        self.family(name, "counter", "Calls of aggregates by what became of them; those for a list count as one.");
        for (route, call, outcomes) in calls {
            for (outcome, count) in outcomes.into_iter().filter(|(_, count)| *count > 0) {
                self.line(name, &[("route", route), ("call", call), ("outcome", outcome)], count);
            }
        }
    }

    /// Route, type and name of operations, and how many.
    pub fn operations<'a>(&mut self, operations: impl Iterator<Item = (&'a str, &'a str, &'a str, u64)>) {
        let name = "stagedoor_graphql_operations_total";
        self.family(name, "counter", "Operations of GraphQL let through; with their name where it is configured.");
        for (route, kind, operation, count) in operations.filter(|(.., count)| *count > 0) {
            self.line(name, &[("route", route), ("type", kind), ("name", operation)], count);
        }
    }

    pub fn sinks(&mut self, levels: &[Level]) {
        let name = "stagedoor_access_log_queued_lines";
        self.family(name, "gauge", "Access-log lines that wait to be written.");
        for level in levels {
            self.line(name, &[("path", &level.path)], level.queued);
        }
        let name = "stagedoor_access_log_dropped_lines_total";
        self.family(name, "counter", "Access-log lines lost because the queue was full or writing failed.");
        for level in levels {
            self.line(name, &[("path", &level.path)], level.dropped);
        }
    }
}
