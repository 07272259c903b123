//! What a run needs of the machine, looked at before it starts.

use std::fs;

use anyhow::bail;
use nix::sys::resource::{Resource, getrlimit};

use crate::plan::Layout;

/// Files of the generator or a server that aren't clients' connections.
const OTHER_FILES: u64 = 128;
/// Where Linux keeps the range of ports that connections leave from.
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// What the machine allows.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    /// Open files of a process.
    files: u64,
    /// Ports that connections to one address may leave from.
    ports: u64,
}

/// An error says what is too little, and what to do. A lab's servers have the same limit of files.
pub(crate) fn check(layout: &Layout, servers: usize) -> anyhow::Result<()> {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let ports = fs::read_to_string(PORT_RANGE).ok().and_then(|text| ports_in(&text)).unwrap_or(u64::MAX);
    match shortage(layout, servers, Allowed { files, ports }) {
        Some(shortage) => bail!(shortage),
        None => Ok(()),
    }
}

fn shortage(layout: &Layout, servers: usize, allowed: Allowed) -> Option<String> {
    let clients = (layout.publishers + layout.subscribers) as u64;
    let most = layout.clients_by_server(servers).into_iter().max().unwrap_or_default() as u64;
    let files = OTHER_FILES + clients;
    if files > allowed.files {
        return Some(format!(
            "{clients} clients need {files} open files, and the limit is {}. Raise it (ulimit -n {files}; the hard \
             limit in /etc/security/limits.conf), or use fewer clients",
            allowed.files
        ));
    }
    if most > allowed.ports {
        return Some(format!(
            "{most} clients would connect to one server, and there are {} ports for that. Widen the range (sysctl \
             net.ipv4.ip_local_port_range=\"1024 65535\"), use more servers, or fewer clients",
            allowed.ports
        ));
    }
    None
}

/// How many ports there are from one to another, both included.
fn ports_in(text: &str) -> Option<u64> {
    let mut parts = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (low, high) = (parts.next()?.ok()?, parts.next()?.ok()?);
    Some((high + 1).saturating_sub(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Spread;

    fn of_default(servers: usize, files: u64, ports: u64) -> Option<String> {
        shortage(&Layout::default(), servers, Allowed { files, ports })
    }

    #[test]
    fn enough_is_enough() {
        assert_eq!(of_default(3, 458, 110), None);
        assert!(check(&Layout::default(), 3).is_ok());
    }

    #[test]
    fn too_few_files_are_told_with_what_to_do() {
        let shortage = of_default(3, 457, 110).unwrap();
        assert!(
            shortage.starts_with("330 clients need 458 open files, and the limit is 457. Raise it"),
            "{shortage}"
        );
    }

    #[test]
    fn too_few_ports_are_told_with_what_to_do() {
        assert!(of_default(3, 1_000, 109).unwrap().contains("net.ipv4.ip_local_port_range"));
        let layout = Layout { spread: Spread::OneServer, ..Layout::default() };
        let shortage = shortage(&layout, 3, Allowed { files: 1_000, ports: 300 }).unwrap();
        assert!(shortage.starts_with("310 clients would connect to one server, and there are 300 ports"));
    }

    #[test]
    fn the_kernels_range_is_read() {
        assert_eq!(ports_in("32768\t60999\n"), Some(28_232));
        assert_eq!(ports_in(""), None);
    }
}
