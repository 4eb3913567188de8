//! Renders the servers' configurations for Unikraft, without the features that its ports do not have. Pure.

use crate::model::program::Program;
use anyhow::{Context, ensure};

/// The folder of the servers' files in the guest.
pub(super) const FOLDER: &str = "fw/server";

/// Edits of the Nginx template: a line and its replacement; `None` removes the line.
const NGINX: &[(&str, Option<&str>)] = &[
    // Unikraft has no users.
    ("@user@", None),
    // lwIP has neither TCP_CORK nor sendfile.
    ("sendfile on;", Some("sendfile off;")),
    ("tcp_nopush on;", None),
    // The port may be built without these modules, so Nginx would reject the lines.
    ("proxy_temp_path \"@dir@\";", None),
    ("fastcgi_temp_path \"@dir@\";", None),
    ("uwsgi_temp_path \"@dir@\";", None),
    ("scgi_temp_path \"@dir@\";", None),
    ("root \"@root@/fw/server/html\";", Some("root \"/fw/server/html\";")),
];

/// Renders the configuration of `program` from the template that all platforms share.
///
/// # Errors
/// When an edit does not apply to the template.
pub(super) fn configuration(program: Program, template: &str) -> anyhow::Result<String> {
    let edits = if program == Program::Nginx { NGINX } else { &[] };
    for (line, _) in edits {
        let times = template.lines().filter(|l| l.trim() == *line).count();
        ensure!(times == 1, "template of {program}: {times} lines `{line}`; expected one");
    }
    let port = program.port().context("the program is not a server")?.to_string();
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

    /// Joins the lines without comments and blank lines.
    fn statements(text: &str) -> String {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nginx_has_the_shared_configuration_without_unsupported_features() {
        let text = configuration(Program::Nginx, &template("nginx/nginx.conf")).unwrap();
        let pid = ["/tmp", "nginx.pid"].join("/");
        let expected = format!(
            "daemon off; worker_processes 1; error_log stderr warn; pid \"{pid}\"; \
             events {{ worker_connections 512; }} \
             http {{ access_log off; log_not_found off; default_type text/html; sendfile off; \
             keepalive_requests 1000000000; keepalive_timeout 3600; client_body_temp_path \"/tmp\"; \
             server {{ listen 0.0.0.0:80; root \"/fw/server/html\"; }} }}"
        );
        assert_eq!(statements(&text), expected);
    }

    #[test]
    fn redis_has_the_shared_configuration() {
        let text = configuration(Program::Redis, &template("redis/redis.conf")).unwrap();
        assert_eq!(
            statements(&text),
            "bind 0.0.0.0 port 6379 protected-mode no daemonize no dir \"/tmp\" logfile \"\" loglevel warning save \"\" \
             appendonly no"
        );
    }

    #[test]
    fn a_changed_template_is_an_error() {
        let changed = template("nginx/nginx.conf").replace("sendfile on;", "sendfile  on;");
        let message = configuration(Program::Nginx, &changed).unwrap_err().to_string();
        assert_eq!(message, "template of nginx: 0 lines `sendfile on;`; expected one");
    }
}
