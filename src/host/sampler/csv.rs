//! The file `series/host.csv`: columns whose names contain the unit, and an empty cell for a missing value.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::HostReading;
use crate::model::units::{Bytes, Nanos};

/// Additional columns with readings of the caller, such as the memory of all instances' cgroups.
pub struct Columns {
    names: Vec<String>,
    read: Box<dyn FnMut() -> Vec<Option<u64>> + Send>,
}

impl Columns {
    /// Columns called `names`, such as `instances_memory_bytes`. `read` returns their values for every line.
    pub fn new(names: &[&str], read: impl FnMut() -> Vec<Option<u64>> + Send + 'static) -> Self {
        Self { names: names.iter().map(|&n| n.to_owned()).collect(), read: Box::new(read) }
    }

    /// Reads exactly one value per name. A missing value would shift the columns after it.
    fn values(&mut self) -> Vec<Option<u64>> {
        let mut values = (self.read)();
        values.resize(self.names.len(), None);
        values
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The values of one line.
#[derive(Debug)]
pub(super) struct Line {
    /// RFC 3339 in UTC.
    pub(super) time: String,
    pub(super) monotonic: Nanos,
    pub(super) background: u32,
    pub(super) host: HostReading,
    pub(super) harness_resident: Option<Bytes>,
    pub(super) harness_cpu: Option<Nanos>,
}

impl Line {
    /// The cells after the time.
    fn cells(&self) -> [(&'static str, Option<u64>); 18] {
        let h = &self.host;
        let bytes = |b: Option<Bytes>| b.map(|b| b.0);
        let nanos = |n: Option<Nanos>| n.map(|n| n.0);
        [
            ("monotonic_ns", Some(self.monotonic.0)),
            ("background_count", Some(u64::from(self.background))),
            ("memory_total_bytes", bytes(h.memory_total)),
            ("memory_available_bytes", bytes(h.memory_available)),
            ("memory_free_bytes", bytes(h.memory_free)),
            ("slab_bytes", bytes(h.slab)),
            ("slab_unreclaimable_bytes", bytes(h.slab_unreclaimable)),
            ("kernel_stack_bytes", bytes(h.kernel_stack)),
            ("page_tables_bytes", bytes(h.page_tables)),
            ("swap_total_bytes", bytes(h.swap_total)),
            ("swap_free_bytes", bytes(h.swap_free)),
            ("swapped_in_pages", h.pages_swapped_in),
            ("swapped_out_pages", h.pages_swapped_out),
            ("cpu_busy_ns", nanos(h.cpu_busy)),
            ("cpu_idle_ns", nanos(h.cpu_idle)),
            ("cpu_steal_ns", nanos(h.cpu_steal)),
            ("harness_resident_bytes", bytes(self.harness_resident)),
            ("harness_cpu_ns", nanos(self.harness_cpu)),
        ]
    }
}

/// The open file. The header is written once; every line is written whole, in one call.
#[derive(Debug)]
pub(super) struct Table {
    file: File,
    extra: Vec<Columns>,
    has_header: bool,
}

impl Table {
    /// Opens `path` to append, so that a resumed run keeps its lines.
    pub(super) fn open(path: &Path, extra: Vec<Columns>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let has_header = file.metadata()?.len() > 0;
        Ok(Self { file, extra, has_header })
    }

    pub(super) fn write(&mut self, line: &Line) -> io::Result<()> {
        let cells = line.cells();
        let mut text = String::new();
        if !self.has_header {
            let names = cells.iter().map(|(name, _)| *name);
            let more = self.extra.iter().flat_map(|c| &c.names).map(String::as_str);
            text = format!("time,{}\n", names.chain(more).collect::<Vec<_>>().join(","));
        }
        let more = self.extra.iter_mut().flat_map(Columns::values);
        let values = cells.into_iter().map(|(_, value)| value).chain(more);
        let values: Vec<String> = values.map(|v| v.map_or_else(String::new, |n| n.to_string())).collect();
        text.push_str(&format!("{},{}\n", line.time, values.join(",")));
        self.file.write_all(text.as_bytes())?;
        self.has_header = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn line(monotonic: u64) -> Line {
        Line {
            time: "2026-11-21T08:45:14Z".to_owned(),
            monotonic: Nanos(monotonic),
            background: 3,
            host: HostReading { memory_free: Some(Bytes(5)), ..HostReading::default() },
            harness_resident: None,
            harness_cpu: Some(Nanos(8)),
        }
    }

    #[test]
    fn the_header_is_written_once_and_missing_values_are_empty_cells() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.csv");
        for monotonic in [1, 2] {
            let extra = Columns::new(&["instances_memory_bytes", "instances_cpu_ns"], || vec![Some(70)]);
            Table::open(&path, vec![extra]).unwrap().write(&line(monotonic)).unwrap();
        }
        insta::assert_snapshot!(fs::read_to_string(path).unwrap(), @r"
        time,monotonic_ns,background_count,memory_total_bytes,memory_available_bytes,memory_free_bytes,slab_bytes,slab_unreclaimable_bytes,kernel_stack_bytes,page_tables_bytes,swap_total_bytes,swap_free_bytes,swapped_in_pages,swapped_out_pages,cpu_busy_ns,cpu_idle_ns,cpu_steal_ns,harness_resident_bytes,harness_cpu_ns,instances_memory_bytes,instances_cpu_ns
        2026-11-21T08:45:14Z,1,3,,,5,,,,,,,,,,,,,8,70,
        2026-11-21T08:45:14Z,2,3,,,5,,,,,,,,,,,,,8,70,
        ");
    }
}
