//! The servers' configurations for Unikraft: those of every platform but for what its ports have not. Pure.

use crate::model::program::Program;
use anyhow::{Context, ensure};

/// Where the servers' files lie in the guest.
pub(super) const FOLDER: &str = "fw/server";

/// A line of the Nginx template and what stands in its place; `None`: nothing.
const NGINX: &[(&str, Option<&str>)] = &[
    // There are no users.
    ("@user@", None),
    // lwIP has no TCP_CORK, and nothing sends a file without copying it.
    ("sendfile on;", Some("sendfile off;")),
    ("tcp_nopush on;", None),
    // The port may leave these modules out, which would make the lines unknown.
    ("proxy_temp_path \"@dir@\";", None),
    ("fastcgi_temp_path \"@dir@\";", None),
    ("uwsgi_temp_path \"@dir@\";", None),
    ("scgi_temp_path \"@dir@\";", None),
    ("root \"@root@/fw/server/html\";", Some("root \"/fw/server/html\";")),
];

/// The configuration of `program` from the template of all platforms.
///
/// # Errors
/// When the template has changed so that a difference does not apply any more.
pub(super) fn configuration(program: Program, template: &str) -> anyhow::Result<String> {
    let edits = if program == Program::Nginx { NGINX } else { &[] };
    for (line, _) in edits {
        let times = template.lines().filter(|l| l.trim() == *line).count();
        ensure!(times == 1, "the template of {program} has the line `{line}` {times} times, not once");
    }
    let port = program.port().context("not a server")?.to_string();
    let values = [("@listen@", "0.0.0.0"), ("@port@", &port), ("@dir@", "/tmp")];
    let mut text = String::new();
    for line in template.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let kept = match edits.iter().find(|(old, _)| *old == line.trim()) {
            None => line.to_owned(),
            Some((_, Some(new))) => format!("{indent}{new}"),
            Some((_, None)) => continue,
        };
        text += &values.iter().fold(kept, |line, (name, value)| line.replace(name, value));
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::host::folders::Folders;

    use super::*;

    fn template(path: &str) -> String {
        fs::read_to_string(Folders::from_env().project.join("guest-images/servers").join(path)).unwrap()
    }

    /// The lines that say something, joined.
    fn said(text: &str) -> String {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nginx_is_configured_as_everywhere_but_for_what_is_not_there() {
        let text = configuration(Program::Nginx, &template("nginx/nginx.conf")).unwrap();
        let pid = ["/tmp", "nginx.pid"].join("/");
        let expected = format!(
            "daemon off; worker_processes 1; error_log stderr warn; pid \"{pid}\"; \
             events {{ worker_connections 512; }} \
             http {{ access_log off; log_not_found off; default_type text/html; sendfile off; \
             keepalive_requests 1000000000; keepalive_timeout 3600; client_body_temp_path \"/tmp\"; \
             server {{ listen 0.0.0.0:80; root \"/fw/server/html\"; }} }}"
        );
        assert_eq!(said(&text), expected);
    }

    #[test]
    fn redis_is_configured_as_everywhere() {
        let text = configuration(Program::Redis, &template("redis/redis.conf")).unwrap();
        assert_eq!(
            said(&text),
            "bind 0.0.0.0 port 6379 protected-mode no daemonize no dir \"/tmp\" logfile \"\" loglevel warning save \"\" \
             appendonly no"
        );
    }

    #[test]
    fn a_template_that_has_changed_is_noticed() {
        let changed = template("nginx/nginx.conf").replace("sendfile on;", "sendfile  on;");
        let told = configuration(Program::Nginx, &changed).unwrap_err().to_string();
        assert_eq!(told, "the template of nginx has the line `sendfile on;` 0 times, not once");
    }
}
